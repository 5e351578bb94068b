"""Does lmms-eval find the task of `massannot export lmms-eval`, and read its rows, without a model?

python -m tests.peers.lmms_eval_task PROVEN PYTHON

Its own task manager loads the YAML and the Parquet file; the answer of each row, handed to the task
as a model's, is to score 1.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import pyarrow.parquet as pq

from massannot.exporters import lmms_eval
from massannot.questions.ask.asked_about import with_its_clips
from tests.peers.elsewhere import found_by, told

READ = """
import importlib.metadata, json, os, sys
os.chdir(sys.argv[1])
os.environ["HF_DATASETS_CACHE"] = os.path.join(sys.argv[1], "cache")
from lmms_eval.tasks import TaskManager, get_task_dict
manager = TaskManager(include_path=".", include_defaults=False)
task = get_task_dict(["massannot_questions"], manager)["massannot_questions"]
found = []
for doc in task.test_docs():
    (film,) = task.doc_to_visual(doc)
    score = task.process_results(doc, [task.doc_to_target(doc)])["exact_match"]
    found.append([doc["question_id"], doc["question"] in task.doc_to_text(doc),
                  os.path.isfile(film), score])
print()
print(json.dumps([importlib.metadata.version("lmms_eval"), found]))
"""


def main(proven: str, python: str) -> int:
    with tempfile.TemporaryDirectory() as folder:
        lmms_eval.export(with_its_clips(proven), Path(folder))
        ids = pq.read_table(Path(folder) / "test.parquet")["question_id"].to_pylist()
        version, found = found_by(python, READ, folder)
    right = found == [[name, True, True, 1.0] for name in ids]
    said = f"{len(found)} of {len(ids)} rows with their films, each right answer scores 1"
    return told(f"lmms-eval {version}", right=right, said=said)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
