"""`massannot cite`: the models behind a dataset, their licences, and BibTeX for all who made them.

The models stand in the dataset's record; the papers are looked up by a model's name on its card, so
embedded weights cite the authors of their architecture too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from massannot.dataset import record as run_record
from massannot.dataset.card import strictest_license
from massannot.dataset.layout import Layout
from massannot.dataset.publish import RECORD
from massannot.errors import UsageError
from massannot.version import __version__

TITLE = "massannot: an offline perception annotator for video"
AUTHORS = "The massannot authors"
"""As in CITATION.cff, which no wheel carries."""


@dataclass(frozen=True)
class Paper:
    """One BibTeX entry; `authors` as BibTeX writes them, joined by "and"."""

    key: str
    title: str
    authors: str
    year: int
    arxiv: str | None = None
    booktitle: str | None = None
    pages: str | None = None

    @property
    def bibtex(self) -> str:
        fields = {"title": f"{{{self.title}}}", "author": self.authors, "year": str(self.year)}
        if self.booktitle is not None:
            fields["booktitle"] = self.booktitle
        if self.pages is not None:
            fields["pages"] = self.pages
        if self.arxiv is not None:
            fields |= {
                "eprint": self.arxiv,
                "archivePrefix": "arXiv",
                "url": f"https://arxiv.org/abs/{self.arxiv}",
            }
        return _entry("misc" if self.booktitle is None else "inproceedings", self.key, fields)


METHOD = Paper(
    "wu2025mass",
    "MASS: Motion-Aware Spatial-Temporal Grounding for Physics Reasoning and Comprehension in "
    "Vision-Language Models",
    "Wu, Xiyang and Li, Zongxia and Jin, Jihui and Shi, Guangyao and KV, Gouthaman and Raj, Vishnu "
    "and Sinha, Nilotpal and Chen, Jingxi and Du, Fan and Manocha, Dinesh",
    2025,
    arxiv="2511.18373",
)
"""The paper whose annotations and motion profile the tables describe, whichever models answered."""

PAPERS: Mapping[str, Paper] = {
    "grounding_dino": Paper(
        "liu2023groundingdino",
        "Grounding DINO: Marrying DINO with Grounded Pre-Training for Open-Set Object Detection",
        "Liu, Shilong and Zeng, Zhaoyang and Ren, Tianhe and Li, Feng and Zhang, Hao and Yang, Jie "
        "and Jiang, Qing and Li, Chunyuan and Yang, Jianwei and Su, Hang and Zhu, Jun and "
        "Zhang, Lei",
        2023,
        arxiv="2303.05499",
    ),
    "sam2_video": Paper(
        "ravi2024sam2",
        "SAM 2: Segment Anything in Images and Videos",
        "Ravi, Nikhila and Gabeur, Valentin and Hu, Yuan-Ting and Hu, Ronghang and Ryali, "
        'Chaitanya and Ma, Tengyu and Khedr, Haitham and R{\\"a}dle, Roman and Rolland, Chloe and '
        "Gustafson, Laura and Mintun, Eric and Pan, Junting and Alwala, Kalyan Vasudev and Carion, "
        "Nicolas and Wu, Chao-Yuan and Girshick, Ross and Doll{\\'a}r, Piotr and Feichtenhofer, "
        "Christoph",
        2024,
        arxiv="2408.00714",
    ),
    "depth_anything": Paper(
        "yang2024depthanythingv2",
        "Depth Anything V2",
        "Yang, Lihe and Kang, Bingyi and Huang, Zilong and Zhao, Zhen and Xu, Xiaogang and Feng, "
        "Jiashi and Zhao, Hengshuang",
        2024,
        arxiv="2406.09414",
    ),
    "mm_grounding_dino": Paper(
        "zhao2024mmgroundingdino",
        "An Open and Comprehensive Pipeline for Unified Object Grounding and Detection",
        "Zhao, Xiangyu and Chen, Yicheng and Xu, Shilin and Li, Xiangtai and Wang, Xinjiang and "
        "Li, Yining and Huang, Haian",
        2024,
        arxiv="2401.02361",
    ),
    "edgetam_video": Paper(
        "zhou2025edgetam",
        "EdgeTAM: On-Device Track Anything Model",
        "Zhou, Chong and Zhu, Chenchen and Xiong, Yunyang and Suri, Saksham and Xiao, Fanyi and "
        "Wu, Lemeng and Krishnamoorthi, Raghuraman and Dai, Bo and Loy, Chen Change and Chandra, "
        "Vikas and Soran, Bilge",
        2025,
        arxiv="2501.07256",
    ),
    "sam3_video": Paper(
        "carion2025sam3",
        "SAM 3: Segment Anything with Concepts",
        "Carion, Nicolas and Gustafson, Laura and Hu, Yuan-Ting and Debnath, Shoubhik and Hu, "
        "Ronghang and Suris, Didac and Ryali, Chaitanya and Alwala, Kalyan Vasudev and Khedr, "
        "Haitham and Huang, Andrew and others",
        2025,
        arxiv="2511.16719",
    ),
    "depth_pro": Paper(
        "bochkovskii2024depthpro",
        "Depth Pro: Sharp Monocular Metric Depth in Less Than a Second",
        'Bochkovskii, Aleksei and Delaunoy, Ama{\\"e}l and Germain, Hugo and Santos, Marcel and '
        "Zhou, Yichao and Richter, Stephan R. and Koltun, Vladlen",
        2024,
        arxiv="2410.02073",
    ),
    "cotracker3": Paper(
        "karaev2024cotracker3",
        "CoTracker3: Simpler and Better Point Tracking by Pseudo-Labelling Real Videos",
        "Karaev, Nikita and Makarov, Iurii and Wang, Jianyuan and Neverova, Natalia and Vedaldi, "
        "Andrea and Rupprecht, Christian",
        2024,
        arxiv="2410.11831",
    ),
    "lucas_kanade": Paper(
        "lucas1981iterative",
        "An Iterative Image Registration Technique with an Application to Stereo Vision",
        "Lucas, Bruce D. and Kanade, Takeo",
        1981,
        booktitle="Proceedings of the 7th International Joint Conference on Artificial "
        "Intelligence (IJCAI)",
        pages="674--679",
    ),
}


@dataclass(frozen=True)
class DatasetCitation:
    """What made a dataset: models in the record's order, and BibTeX entries by key."""

    models: tuple[run_record.LoadedWeights, ...]
    version: str
    """Of massannot, when the run began."""
    bibtex: Mapping[str, str]

    @property
    def strictest(self) -> str:
        return strictest_license(self.models)

    def as_json(self) -> dict[str, Any]:
        return {
            "massannot": self.version,
            "models": [asdict(model) for model in self.models],
            "strictest_license": self.strictest,
            "bibtex": dict(self.bibtex),
        }

    def as_text(self) -> str:
        """Comments of a .bib file, then its entries: the whole may be redirected into one."""
        lines = [f"made with massannot {self.version}", *map(_of_model, self.models)]
        if not self.models:
            lines.append("no model is recorded")
        if self.strictest:
            lines.append(f"the strictest licence of the weights: {self.strictest}")
        return "\n\n".join(["\n".join(f"% {line}" for line in lines), *self.bibtex.values()])


def cite(out: Path) -> DatasetCitation:
    """The citation of an output folder or a published dataset. Raises UsageError for others."""
    layout = Layout(out)
    record = run_record.read(layout)
    if record is not None:
        versions = record.starts[0].versions if record.starts else {}
        return _citation(record.weights, versions)
    try:
        published = json.loads((layout.out / RECORD).read_bytes())
    except FileNotFoundError:
        raise UsageError(
            f"{out}: found no record of a run, expected the output folder of `annotate` or `run`, "
            "or a dataset that `publish` wrote"
        ) from None
    if "weights" not in published:
        raise UsageError(
            f"{out}: found a dataset published by massannot 0.1, whose {RECORD} names no models, "
            "expected their names; its README.md lists them, and so does `massannot cite` of the "
            "run's own folder"
        )
    models = [run_record.LoadedWeights(**item) for item in published["weights"]]
    return _citation(models, published.get("versions", {}))


def _citation(
    models: Sequence[run_record.LoadedWeights], versions: Mapping[str, str]
) -> DatasetCitation:
    version = versions.get("massannot", __version__)
    named = dict.fromkeys(PAPERS[model.name] for model in models if model.name in PAPERS)
    papers = {paper.key: paper.bibtex for paper in (*named, METHOD)}
    return DatasetCitation(tuple(models), version, {"massannot": _software(version), **papers})


def _software(version: str) -> str:
    fields = {"title": f"{{{TITLE}}}", "author": f"{{{AUTHORS}}}", "version": version}
    try:
        about = metadata.metadata("massannot")
    except metadata.PackageNotFoundError:  # a checkout that is not installed
        return _entry("software", "massannot", fields)
    if "License-Expression" in about:
        fields["license"] = about["License-Expression"]
    urls = dict(line.split(", ", 1) for line in about.get_all("Project-URL") or ())
    for label in ("Repository", "Source", "Homepage"):
        if label in urls:
            return _entry("software", "massannot", fields | {"url": urls[label]})
    return _entry("software", "massannot", fields)


def _entry(kind: str, key: str, fields: Mapping[str, str]) -> str:
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items()]
    return "\n".join([f"@{kind}{{{key},", *lines, "}"])


def _of_model(model: run_record.LoadedWeights) -> str:
    if not model.weights:
        return f"{model.name}: no weights" + (f", {model.license}" if model.license else "")
    revision = f" @ {model.revision}" if model.revision else ""
    sha256 = f", sha256 {model.sha256}" if model.sha256 else ""
    return (
        f"{model.name}: {model.weights}{revision}, licence {model.license or 'not stated'}{sha256}"
    )
