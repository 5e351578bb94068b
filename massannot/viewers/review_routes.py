"""The part of the server that hears decisions; `massannot view` has none of it.

The answer to a decision is sent after its line is on the disk. The page sends the same request
again until it hears the answer, and the file takes it once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from massannot.dataset.question_edits import EDITS
from massannot.dataset.reviews_of_run import ReviewFile, hash_of_rows, standing
from massannot.errors import UsageError
from massannot.storage.json_text import parsed
from massannot.tables.reviews import QUESTION_REASONS, REASONS
from massannot.viewers.clip_data import Json
from massannot.viewers.review_sample import ReviewSample
from massannot.viewers.served_dataset import ServedDataset

MOST_BYTES = 2_000_000
"""Of a page's decision: 200 outlines of 500 corners."""
Decided = Mapping[tuple[str, str | None], Json]
"""Clip and question (or None) to what a reviewer decided about it."""


@dataclass(frozen=True)
class ReviewDesk:
    """One reviewer's decisions about one dataset, for the pages and the list."""

    served: ServedDataset
    sample: ReviewSample
    file: ReviewFile

    @cached_property
    def order(self) -> list[str]:
        return list(self.sample.clips)

    def decisions(self) -> Decided:
        """What this reviewer decided, as it stands."""
        return {
            (d.clip_id, d.question_id): {"decision": d.decision, "reason": d.reason,
                                         "note": d.note, "fixes": list(d.fixes),
                                         "rows_hash": d.rows_hash,
                                         **{name: getattr(d, name) for name in EDITS}}
            for d in standing(self.file.read())
        }  # fmt: skip

    def listed(self, asked: Any, decided: Decided) -> list[str] | None:
        """The clips that the list may show: of the sample, with the decision that is asked for.
        None: all clips."""
        wanted = asked.get("decision") or None
        if asked.get("sample") == "no" and wanted is None:
            return None
        among = self.order if asked.get("sample") != "no" else dict.fromkeys(c for c, _ in decided)
        stands = {c: self.decision_of(c, decided) or "open" for c in among}
        return [c for c, now in stands.items() if wanted in (None, now)]

    def of_index(self) -> Json:
        return {"reviewer": self.file.reviewer, **self.progress(self.decisions())}

    def progress(self, decided: Decided) -> Json:
        done = sum((clip_id, None) in decided for clip_id in self.order)
        return {"unit": "clips", "total": len(self.order), "done": done}

    def decision_of(self, clip_id: str, decided: Decided) -> str | None:
        """How the clip stands in the list; None: it is to be looked at."""
        mine = decided.get((clip_id, None))
        return None if mine is None else str(mine["decision"])

    def question_ids(self, clip_id: str) -> frozenset[str]:
        """Those of a clip that can be decided."""
        return self.served.questions.ids_of(clip_id)

    def of_clip(self, clip_id: str) -> Json:
        """What the clip's page needs: how it stands, and which clip is next."""
        decided = self.decisions()
        asked = self.question_ids(clip_id)
        at = self.order.index(clip_id) if clip_id in self.sample.clips else len(self.order)
        others = (*self.order[at + 1 :], *self.order[:at])
        following = next((c for c in others if self.decision_of(c, decided) is None), None)
        return {
            "reviewer": self.file.reviewer,
            "reasons": list(REASONS),
            "question_reasons": list(QUESTION_REASONS),
            "question_ids": sorted(asked),
            "stratum": self.sample.clips.get(clip_id),
            "rows_hash": hash_of_rows(self.served.dataset.clip(clip_id)),
            "next": None if following is None else f"../clip/{following}",
            "mine": decided.get((clip_id, None)),
            "questions": {q: d for (_, q), d in decided.items() if q in asked},
            **self.progress(decided),
        }

    def routes(self) -> list[Any]:
        from starlette.routing import Route

        return [
            Route("/api/reviews", self.decide, methods=["POST"]),
            Route("/api/reviews/{clip_id}", self.stand),
        ]

    def stand(self, request: Any) -> Any:
        """How a clip stands now: asked when a page comes back into view."""
        from starlette.responses import JSONResponse, Response

        clip_id = request.path_params["clip_id"]
        if not self.served.has(clip_id):
            return Response(status_code=404)
        return JSONResponse(self.of_clip(clip_id))

    async def decide(self, request: Any) -> Any:
        from starlette.concurrency import run_in_threadpool
        from starlette.responses import JSONResponse

        body = await request.body()
        if request.headers.get("content-type") != "application/json" or len(body) > MOST_BYTES:
            raise UsageError("a decision: expected a small application/json")
        try:
            values = parsed(body)
        except ValueError as error:
            raise UsageError(f"a decision: found no JSON ({error})") from error
        return JSONResponse(await run_in_threadpool(self._save, values))

    def _save(self, values: Any) -> Json:
        clip_id = values.get("clip_id") if isinstance(values, dict) else None
        if not isinstance(clip_id, str) or not self.served.has(clip_id):
            raise UsageError(f"clip_id: found {clip_id!r}, expected a clip of the dataset")
        known = self.question_ids(clip_id)
        if values.get("kind") == "question" and values.get("question_id") not in known:
            raise UsageError(
                f"question_id: found {values.get('question_id')!r}, expected one of the clip's"
            )
        shown = values.get("rows_hash")
        now = hash_of_rows(self.served.dataset.clip(clip_id))
        if shown != now and values.get("decision") != "withdraw":
            raise UsageError("rows_hash: the clip has changed since it was shown; load it again")
        stratum = self.sample.clips.get(clip_id)
        made = self.file.add(
            values,
            rows_hash=now,
            sample=None if stratum is None else self.sample.id,
            stratum=stratum,
        )
        return {"review": made.review, "decision": made.decision,
                **self.progress(self.decisions())}  # fmt: skip


class QuestionDesk(ReviewDesk):
    """Decisions about the questions that a folder asks about the dataset, and no others."""

    def question_ids(self, clip_id: str) -> frozenset[str]:
        return self.served.questions.asked_ids_of(clip_id)

    def decision_of(self, clip_id: str, decided: Decided) -> str | None:
        """Of a clip whose questions are all decided: accept, or reject where one is rejected."""
        stands = [decided.get((clip_id, q)) for q in self.question_ids(clip_id)]
        if not all(stands):
            return None
        rejected = any(mine is not None and mine["decision"] == "reject" for mine in stands)
        return "reject" if rejected else "accept"

    def progress(self, decided: Decided) -> Json:
        asked = [(clip_id, q) for clip_id in self.order for q in self.question_ids(clip_id)]
        done = sum(pair in decided for pair in asked)
        return {"unit": "questions", "total": len(asked), "done": done}

    def _save(self, values: Any) -> Json:
        if isinstance(values, dict) and values.get("kind") != "question":
            raise UsageError(f"kind: found {values.get('kind')!r}, expected question")
        return super()._save(values)
