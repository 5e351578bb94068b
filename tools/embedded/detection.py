"""Tiny Grounding DINO: configuration, loss, batches and validation.

Unusual: the library's own loss is not used. It gives the two-stage head no gradient and mixes up
the label maps of batches of three or more. Here every encoder token in the middle of a body is
taught that body's box and phrase (many tokens to one body), and so is every decoder query that
starts near it. Duplicates go by suppression when the network is used.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
import transformers
from torch import Tensor

from massannot.evaluate.box_scores import TextBoxes, average_precision, iou_matrix, right_boxes
from massannot.models.preprocess import Normalization
from massannot.models.text_prompts import CLS, PAD, QUESTION, SEP, STOP, UNKNOWN
from massannot.scenes.shapes import SHAPE_NAMES
from massannot.scenes.world import COLOUR_NAMES
from tools.embedded.initial import drawn_afresh
from tools.embedded.pool import SMALLEST_AREA_PX, Pool, boxes_and_areas

H, W = 128, 160
D_MODEL = 96
TEXT_LIMIT = 32
STRIDES = (8, 16)
SIZES_PX = ((0, 36), (24, 999))
"""The bodies that a level answers for, by the square root of their box's area."""
ARTICLES = ("a", "an", "the")
WORDS = (*ARTICLES, *COLOUR_NAMES, *SHAPE_NAMES)
FIRST_WORD_ID = 1030
VOCABULARY = FIRST_WORD_ID + len(WORDS)
WORD_ID = {word: FIRST_WORD_ID + i for i, word in enumerate(WORDS)}
MOST_PHRASES = 7

NORMALIZE = Normalization()
pool_of = partial(Pool, depth=False)


def network() -> transformers.GroundingDinoForObjectDetection:
    """With starting weights that a contrastive head can learn from."""
    backbone = transformers.ConvNextConfig(
        num_stages=3, hidden_sizes=[32, 64, 128], depths=[2, 2, 3], layer_scale_init_value=0.0,
        out_features=["stage2", "stage3"], drop_path_rate=0.0,
    )  # fmt: skip
    text = transformers.BertConfig(
        vocab_size=VOCABULARY, hidden_size=64, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=128, max_position_embeddings=64, hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    config = transformers.GroundingDinoConfig(
        backbone_config=backbone, text_config=text, d_model=D_MODEL, num_queries=30,
        encoder_layers=2, decoder_layers=2, encoder_ffn_dim=256, decoder_ffn_dim=256,
        encoder_attention_heads=4, decoder_attention_heads=4, dropout=0.0, fusion_droppath=0.0,
        num_feature_levels=len(STRIDES), max_text_len=TEXT_LIMIT, auxiliary_loss=True,
        disable_custom_kernels=True,
    )  # fmt: skip
    net = transformers.GroundingDinoForObjectDetection(config)
    drawn_afresh(net, skip=("sampling_offsets", "attention_weights"))
    for name, parameter in net.named_parameters():
        if name.endswith(("vision_param", "text_param")):
            parameter.data.fill_(0.1)
    _give_prior(net)
    return net


def _give_prior(net: Any) -> None:
    """Contrastive logits have no bias and no 1/sqrt(d): the text's scale keeps them near 1, and one
    channel, high in every vision token and low in every text token, makes "nothing" likely at the
    start. The scale must not sit in the decoder's last norm: boxes are refined from what enters it
    and read out from what leaves it, by one and the same head."""
    text = net.model.encoder.layers[-1].text_enhancer_layer.layer_norm_after
    text.weight.data.fill_(0.12)
    text.bias.data[0] = -0.9
    net.model.enc_output_norm.bias.data[0] = 4.0
    for layer in net.model.decoder.layers:
        layer.final_layer_norm.bias.data[0] = 4.0


@dataclass(frozen=True, eq=False)
class TextRequest:
    """One picture's prompt: token ids, which tokens are each phrase's, and what is true."""

    ids: list[int]
    spans: list[tuple[int, int]]
    texts: list[str]
    boxes_xyxy: np.ndarray
    """(G, 4) bodies that answer at least one phrase."""
    phrases: np.ndarray
    """(G, P) bool: which phrases are true of each."""


def ask(
    names: np.ndarray, boxes_xyxy: np.ndarray, rng: np.random.Generator, *, n_phrases: int,
    pairs: bool = False, articles: bool | None = None,
) -> TextRequest:  # fmt: skip
    """A prompt about bodies with `names` (G, 2) and boxes (G, 4). `pairs`: colour and shape only;
    else one prompt in five mixes in single words. `articles` None: at random."""
    kind = "pairs" if pairs or rng.random() < 0.8 else "mixed"
    wanted: list[tuple[int, int]] = []  # (colour or -1, shape or -1)
    for colour, shape in rng.permutation(names) if len(names) else []:
        word = (int(colour), int(shape))
        if kind == "mixed" and rng.random() < 0.6:
            word = (word[0], -1) if rng.random() < 0.4 else (-1, word[1])
        if word not in wanted and (pairs or rng.random() < 0.85):
            wanted.append(word)
    wanted = wanted[:n_phrases]
    for _ in range(40):
        if len(wanted) >= n_phrases:
            break
        colour, shape = int(rng.integers(len(COLOUR_NAMES))), int(rng.integers(len(SHAPE_NAMES)))
        if len(names) and rng.random() < 0.6:
            like = names[rng.integers(len(names))]
            colour, shape = (int(like[0]), shape) if rng.random() < 0.5 else (colour, int(like[1]))
        word = (colour, shape)
        if kind == "mixed" and rng.random() < 0.6:
            word = (colour, -1) if rng.random() < 0.4 else (-1, shape)
        if word not in wanted:
            wanted.append(word)
    wanted = [wanted[i] for i in rng.permutation(len(wanted))]
    with_article = rng.random() < 0.5 if articles is None else articles
    texts = [_text(word, rng, with_article) for word in wanted]
    ids, spans = [CLS], []
    for text in texts:
        own = [WORD_ID[w] for w in text.split()]
        spans.append((len(ids), len(ids) + len(own)))
        ids += [*own, STOP]
    true = np.zeros((len(names), len(wanted)), bool)
    for p, (colour, shape) in enumerate(wanted):
        fits = np.ones(len(names), bool)
        if colour >= 0:
            fits &= names[:, 0] == colour
        if shape >= 0:
            fits &= names[:, 1] == shape
        true[:, p] = fits
    answered = true.any(1)
    return TextRequest([*ids, SEP], spans, texts, boxes_xyxy[answered], true[answered])


def _text(word: tuple[int, int], rng: np.random.Generator, with_article: bool) -> str:
    words = [COLOUR_NAMES[word[0]]] if word[0] >= 0 else []
    words += [SHAPE_NAMES[word[1]]] if word[1] >= 0 else []
    if with_article:
        own = "an" if words[0][0] in "aeiou" else "a"
        words = ["the" if rng.random() < 0.3 else own, *words]
    return " ".join(words)


def batch(
    pool: Pool, rng: np.random.Generator, size: int, _step: int
) -> tuple[Tensor, Tensor, Tensor, list[TextRequest]]:
    """Pictures (B, 3, H, W), token ids (B, L), their mask, and what was asked."""
    pictures, requests = [], []
    for _ in range(size):
        scene, frame = pool.frames[rng.integers(len(pool.frames))]
        shots, row = pool.scenes[scene]
        rgb = shots.rgb[row, frame]
        boxes, areas = boxes_and_areas(shots.ids[row, frame])
        seen = (areas >= SMALLEST_AREA_PX) & (shots.names[row, :, 0] >= 0)
        names, boxes = shots.names[row][seen], boxes[seen]
        if rng.random() < 0.5:
            rgb = rgb[:, ::-1]
            boxes = np.stack([W - boxes[:, 2], boxes[:, 1], W - boxes[:, 0], boxes[:, 3]], 1)
        requests.append(
            ask(names, boxes, rng, n_phrases=int(rng.choice([1, 2, 3, 4, 5, 6, 6, 6, 7])))
        )
        pictures.append(torch.from_numpy(np.ascontiguousarray(rgb)))
    levels = torch.stack(pictures).permute(0, 3, 1, 2).float()
    values = NORMALIZE(levels)
    gain = torch.from_numpy(rng.normal(1, 0.1, (size, 1, 1, 1)).astype(np.float32))
    shift = torch.from_numpy(rng.normal(0, 0.1, (size, 1, 1, 1)).astype(np.float32))
    ids, mask = _padded(requests)
    return values * gain + shift, ids, mask, requests


def _padded(requests: list[TextRequest]) -> tuple[Tensor, Tensor]:
    longest = max(len(a.ids) for a in requests)
    ids = torch.full((len(requests), longest), PAD)
    for row, a in enumerate(requests):
        ids[row, : len(a.ids)] = torch.tensor(a.ids)
    return ids, (ids != PAD).long()


def loss(
    net: Any, values: Tensor, ids: Tensor, mask: Tensor, requests: list[TextRequest]
) -> tuple[Tensor, dict[str, float]]:
    """Both heads of one forward pass."""
    out = net(pixel_values=values, input_ids=ids, attention_mask=mask)
    valid = F.pad(mask.bool(), (0, TEXT_LIMIT - mask.shape[1]))
    truth = [_Truth.of(a, values.device) for a in requests]
    tokens = [_central_tokens(t.boxes, values.device) for t in truth]
    encoder = _head_loss(
        out.enc_outputs_class, out.enc_outputs_coord_logits.sigmoid(), valid, truth, tokens
    )
    total = encoder[0]
    parts = {"enc_" + k: v for k, v in encoder[1].items()}
    for logits, boxes in decoder_outputs(net, out, mask):
        near = [_near_queries(b.detach(), t.boxes) for b, t in zip(boxes, truth)]
        part = _head_loss(logits, boxes, valid, truth, near)
        total = total + part[0]
    parts |= {"dec_" + k: v for k, v in part[1].items()}
    return total, parts


def decoder_outputs(net: Any, out: Any, mask: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Class logits and boxes of every decoder layer, as the network computes them itself."""
    answers = []
    for level in range(out.intermediate_hidden_states.shape[1]):
        hidden = out.intermediate_hidden_states[:, level]
        start = (
            out.init_reference_points if level == 0
            else out.intermediate_reference_points[:, level - 1]
        )  # fmt: skip
        logits = net.class_embed[level](
            vision_hidden_state=hidden,
            text_hidden_state=out.encoder_last_hidden_state_text,
            text_token_mask=mask.bool(),
        )
        moved = net.bbox_embed[level](hidden) + torch.special.logit(start, eps=1e-5)
        answers.append((logits, moved.sigmoid()))
    return answers


@dataclass(frozen=True, eq=False)
class _Truth:
    boxes: Tensor
    """(G, 4) normalised cxcywh."""
    tokens: Tensor
    """(G, TEXT_LIMIT) 1 for the tokens of every phrase that is true of the body."""

    @classmethod
    def of(cls, request: TextRequest, device: torch.device) -> _Truth:
        tokens = np.zeros((len(request.boxes_xyxy), TEXT_LIMIT), np.float32)
        for p, (first, end) in enumerate(request.spans):
            tokens[request.phrases[:, p], first:end] = 1
        x0, y0, x1, y1 = request.boxes_xyxy.T / np.array([[W], [H], [W], [H]], np.float32)
        boxes = np.stack([(x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0], 1)
        return cls(
            torch.from_numpy(boxes.astype(np.float32)).to(device),
            torch.from_numpy(tokens).to(device),
        )


def _head_loss(
    logits_BQL: Tensor, boxes_BQ4: Tensor, valid_BL: Tensor, truth: list[_Truth],
    matches: list[tuple[Tensor, Tensor]],
) -> tuple[Tensor, dict[str, float]]:  # fmt: skip
    """Focal loss of all (query, token) pairs; L1 and generalised IoU of the matched queries."""
    wanted = torch.zeros_like(logits_BQL)
    matched, right = [], []
    for row, (t, (query, body)) in enumerate(zip(truth, matches)):
        if len(query):
            wanted[row, query] = t.tokens[body]
            matched.append(boxes_BQ4[row, query])
            right.append(t.boxes[body])
    mask = valid_BL[:, None].expand_as(logits_BQL)
    n = max(1, sum(len(f) for f in matched))
    focal = _focal(logits_BQL[mask], wanted[mask]) / n
    if not matched:
        return 2 * focal, {"ce": focal.item()}
    predicted, true = torch.cat(matched), torch.cat(right)
    l1 = (predicted - true).abs().sum() / n
    giou = (1 - _generalized_iou(predicted, true)).sum() / n
    parts = {"ce": focal.item(), "l1": l1.item(), "giou": giou.item()}
    return 2 * focal + 5 * l1 + 2 * giou, parts


def _focal(logits: Tensor, wanted: Tensor, alpha: float = 0.25) -> Tensor:
    probability = logits.sigmoid()
    entropy = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    miss = torch.where(wanted > 0, 1 - probability, probability)
    weight = torch.where(wanted > 0, alpha, 1 - alpha)
    return (weight * miss * miss * entropy).sum()


def _corners(boxes: Tensor) -> tuple[Tensor, Tensor]:
    return boxes[..., :2] - boxes[..., 2:] / 2, boxes[..., :2] + boxes[..., 2:] / 2


def _generalized_iou(boxes: Tensor, others: Tensor) -> Tensor:
    (low, high), (low2, high2) = _corners(boxes), _corners(others)
    shared = (torch.minimum(high, high2) - torch.maximum(low, low2)).clamp(min=0).prod(-1)
    union = boxes[..., 2:].prod(-1) + others[..., 2:].prod(-1) - shared
    hull = (torch.maximum(high, high2) - torch.minimum(low, low2)).prod(-1)
    return shared / (union + 1e-9) - (hull - union) / (hull + 1e-9)


def _centres() -> tuple[Tensor, Tensor]:
    """Centres (Q, 2) of the encoder's tokens in 0..1, and their levels (Q,)."""
    points, levels = [], []
    for level, stride in enumerate(STRIDES):
        rows, columns = -(-H // stride), -(-W // stride)
        y = (torch.arange(rows) + 0.5) / rows
        x = (torch.arange(columns) + 0.5) / columns
        grid = torch.stack(torch.meshgrid(y, x, indexing="ij"), -1).reshape(-1, 2)
        points.append(grid.flip(-1))
        levels.append(torch.full((len(grid),), level))
    return torch.cat(points), torch.cat(levels)


_CENTRES, _LEVELS = _centres()


def _central_tokens(boxes: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
    """Encoder tokens in the middle 60 % of a body's box at a level of its size, at least one, and
    the body of each: the smallest, where several overlap."""
    if not len(boxes):
        return torch.zeros(0, dtype=torch.long), torch.zeros(0, dtype=torch.long)
    centres, levels = _CENTRES.to(device), _LEVELS.to(device)
    low = torch.tensor([a for a, _ in SIZES_PX], dtype=torch.float32, device=device)[levels]
    high = torch.tensor([b for _, b in SIZES_PX], dtype=torch.float32, device=device)[levels]
    size = (boxes[:, 2] * W * boxes[:, 3] * H).sqrt()
    fits = (size >= low[:, None]) & (size < high[:, None])
    away = (centres[:, None] - boxes[:, :2]).abs()
    inside = (away < boxes[:, 2:] * 0.3).all(-1) & fits
    scale = torch.tensor([W, H], dtype=torch.float32, device=device)
    distance = (away * scale).norm(dim=-1) + 1e3 * ~fits
    inside[distance.argmin(0), torch.arange(len(boxes), device=device)] = True
    area = boxes[:, 2:].prod(-1)[None].expand_as(inside).masked_fill(~inside, 9.0)
    query = inside.any(1).nonzero()[:, 0]
    return query, area.argmin(1)[query]


def _near_queries(predicted: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Queries whose box overlaps a body's by half or more, at least the best one of each body."""
    if not len(boxes):
        return torch.zeros(0, dtype=torch.long), torch.zeros(0, dtype=torch.long)
    (low, high), (low2, high2) = _corners(predicted), _corners(boxes)
    shared = torch.minimum(high[:, None], high2) - torch.maximum(low[:, None], low2)
    shared = shared.clamp(min=0).prod(-1)
    area = predicted[:, None, 2:].prod(-1) + boxes[None, :, 2:].prod(-1)
    iou = shared / (area - shared + 1e-9)
    overlap, body = iou.max(1)
    near = overlap >= 0.5
    best = iou.argmax(0)
    body[best] = torch.arange(len(boxes), device=boxes.device)
    near[best] = True
    query = near.nonzero()[:, 0]
    return query, body[query]


def validate(net: Any, pool: Pool, *, pictures: int = 192) -> dict[str, float]:
    """Text-matched AP50 of both heads on prompts of six two-word phrases, half of them with
    articles; hard negatives among them. The baseline answers every phrase with one box in the
    middle of the picture."""
    rng = np.random.default_rng(5)
    chosen = [pool.frames[i] for i in rng.permutation(len(pool.frames))[:pictures]]
    truth: list[tuple[int, str, np.ndarray, float]] = []
    answers: dict[str, list[tuple[int, str, np.ndarray, float]]] = {
        "decoder": [], "encoder": [], "middle_box": [],
    }  # fmt: skip
    for first in range(0, len(chosen), 16):
        requests, levels = [], []
        for scene, frame in chosen[first : first + 16]:
            shots, row = pool.scenes[scene]
            boxes, areas = boxes_and_areas(shots.ids[row, frame])
            seen = (areas >= SMALLEST_AREA_PX) & (shots.names[row, :, 0] >= 0)
            names = shots.names[row][seen]
            requests.append(
                ask(names, boxes[seen], rng, n_phrases=6, pairs=True, articles=bool(row % 2))
            )
            levels.append(torch.from_numpy(shots.rgb[row, frame]))
        ids, mask = _padded(requests)
        values = NORMALIZE(torch.stack(levels).permute(0, 3, 1, 2).float())
        device = next(net.parameters()).device
        out = net(
            pixel_values=values.to(device), input_ids=ids.to(device),
            attention_mask=mask.to(device),
        )  # fmt: skip
        heads = {
            "decoder": (out.logits, out.pred_boxes),
            "encoder": (out.enc_outputs_class, out.enc_outputs_coord_logits.sigmoid()),
        }
        for i, a in enumerate(requests):
            picture = first + i
            for box, true in zip(a.boxes_xyxy, a.phrases):
                truth += [(picture, a.texts[p], box, 1.0) for p in np.flatnonzero(true)]
            for head, (logits, boxes) in heads.items():
                answers[head] += [
                    (picture, *row) for row in _read_out(a, logits[i].cpu(), boxes[i].cpu())
                ]
            middle = np.array([W * 0.4, H * 0.42, W * 0.6, H * 0.68])
            answers["middle_box"] += [(picture, text, middle, 1.0) for text in a.texts]
    true_boxes = _text_boxes(truth)
    scores = {
        f"AP50_{head}": round(average_precision(_text_boxes(rows), true_boxes), 4)
        for head, rows in answers.items()
    }
    return {**scores, "n_true": float(len(truth)), **_best_threshold(answers["encoder"], truth)}


def _read_out(
    request: TextRequest, logits_QL: Tensor, boxes_Q4: Tensor
) -> list[tuple[str, np.ndarray, float]]:
    """The adapter's answer: per phrase the best ten boxes after suppression."""
    answers = []
    low, high = _corners(boxes_Q4)
    corners = torch.cat([low, high], -1).clamp(0, 1).numpy() * np.array([W, H, W, H])
    for text, (first, end) in zip(request.texts, request.spans):
        scores = logits_QL[:, first:end].amax(-1).sigmoid().numpy()
        order = np.argsort(-scores, kind="stable")[:60]
        chosen: list[int] = []
        overlaps = iou_matrix(corners[order], corners[order])
        for rank in range(len(order)):
            if scores[order[rank]] < 0.02 or len(chosen) == 10:
                break
            if not chosen or overlaps[rank, chosen].max() <= 0.5:
                chosen.append(rank)
        answers += [(text, corners[order[k]], float(scores[order[k]])) for k in chosen]
    return answers


def _text_boxes(rows: list[tuple[int, str, np.ndarray, float]]) -> TextBoxes:
    return TextBoxes(
        np.array([r[0] for r in rows], np.int64),
        [r[1] for r in rows],
        np.array([r[2] for r in rows], np.float64).reshape(-1, 4),
        np.array([r[3] for r in rows], np.float64),
    )


def _best_threshold(
    rows: list[tuple[int, str, np.ndarray, float]],
    truth: list[tuple[int, str, np.ndarray, float]],
) -> dict[str, float]:
    """The score at which precision and recall balance best (F1), and both there."""
    if not rows or not truth:
        return {}
    predicted, true = _text_boxes(rows), _text_boxes(truth)
    right = right_boxes(predicted, true)
    order = np.argsort(-predicted.score, kind="stable")
    hits = np.cumsum(right[order])
    precision, recall = hits / np.arange(1, len(hits) + 1), hits / len(truth)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-9)
    best = int(f1.argmax())
    values = (predicted.score[order][best], f1[best], precision[best], recall[best], recall[-1])
    names = ("threshold", "F1", "precision", "recall", "recall_all")
    return {name: round(float(value), 4) for name, value in zip(names, values)}


def write_tokenizer(folder: Any) -> None:
    """A word-level tokenizer with BERT's special ids."""
    names = {PAD: "[PAD]", UNKNOWN: "[UNK]", CLS: "[CLS]", SEP: "[SEP]", 103: "[MASK]"}
    names |= {STOP: ".", QUESTION: "?"} | {number: word for word, number in WORD_ID.items()}
    vocab = {names.get(i, f"[unused{i}]"): i for i in range(VOCABULARY)}
    transformers.BertTokenizer(vocab=vocab).save_pretrained(folder)
