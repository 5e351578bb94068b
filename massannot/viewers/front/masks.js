"use strict";
// Masks as COCO's compressed run lengths, and the outline of one, exact to the pixel's edge.

/** The run lengths of a compressed string: zeros first, column by column. */
function runsOf(counts) {
  const runs = [];
  for (let at = 0; at < counts.length; ) {
    let value = 0, shift = 0, digit;
    do {
      digit = counts.charCodeAt(at++) - 48;
      value |= (digit & 31) << shift;
      shift += 5;
    } while (digit & 32);
    if (digit & 16) value |= -1 << shift;
    if (runs.length > 2) value += runs[runs.length - 2];
    runs.push(value);
  }
  return runs;
}

/** Column number to its pieces [top, bottom, top, bottom, ...] inside the mask. */
function columnsOf(runs, height) {
  const columns = new Map();
  let at = 0;
  runs.forEach((run, k) => {
    if (k % 2) {
      for (let start = at; start < at + run; ) {
        const column = Math.floor(start / height);
        const end = Math.min(at + run, (column + 1) * height);
        if (!columns.has(column)) columns.set(column, []);
        columns.get(column).push(start - column * height, end - column * height);
        start = end;
      }
    }
    at += run;
  });
  return columns;
}

/** The outline of a mask as a path in source pixels. */
function outlineOf(counts, height) {
  const columns = columnsOf(runsOf(counts), height);
  const path = new Path2D();
  const none = [];
  for (const [column, pieces] of columns) {
    for (const y of pieces) {
      path.moveTo(column, y);
      path.lineTo(column + 1, y);
    }
    verticals(path, column, columns.get(column - 1) || none, pieces);
    if (!columns.has(column + 1)) verticals(path, column + 1, pieces, none);
  }
  return path;
}

/** Edges at x where exactly one of the neighbouring columns is inside. */
function verticals(path, x, left, right) {
  const ends = [...left, ...right].sort((a, b) => a - b);
  for (let k = 0; k + 1 < ends.length; k += 2) {
    if (ends[k] === ends[k + 1]) continue;
    path.moveTo(x, ends[k]);
    path.lineTo(x, ends[k + 1]);
  }
}
