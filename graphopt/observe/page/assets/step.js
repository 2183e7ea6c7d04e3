// Keeps both graphs in step: where one is moved the other follows, by the nodes that both have.

/** A pane was moved; when somebody did it by hand the other one follows, by the nodes that both have. */
function moved(pane, byHand) {
  rails[panes.indexOf(pane)]?.draw();
  scheduleBackground();
  if (!byHand) return;
  const { width, height } = pane.size;
  const place = partner(pane, pane.transform.invertX(width / 2), pane.transform.invertY(height / 2));
  if (place) centre(panes[1 - pane.side.index], ...place, pane.transform.k);
}

function centre(pane, x, y, scale) {
  const { width, height } = pane.size;
  pane.move(d3.zoomIdentity.translate(width / 2 - x * scale, height / 2 - y * scale).scale(scale));
}

/** The place in the other graph that goes with one in this graph, when both are to stay in step. */
function partner(pane, x, y) {
  const other = panes[1 - pane.side.index];
  if (!state.linked || state.mode !== "both" || !other?.view || story.otherGraph(pane.side.index, pane.view.place) !== other.view.place)
    return null;
  const ladder = ladderOf(pane, other);
  if (!ladder.length) return [x, (y / pane.view.height) * other.view.height];
  return [x + sideways(ladder, x, y, pane.size.height / pane.transform.k), across(ladder, y)];
}

/** The height in the other graph: between those of the nearest nodes that both have. */
function across(ladder, y) {
  let [low, high] = [0, ladder.length - 1];
  if (y <= ladder[0].y) return ladder[0].there + (y - ladder[0].y);
  if (y >= ladder[high].y) return ladder[high].there + (y - ladder[high].y);
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (ladder[middle].y <= y) low = middle;
    else high = middle;
  }
  const [one, two] = [ladder[low], ladder[high]];
  return one.there + ((y - one.y) / (two.y - one.y)) * (two.there - one.there);
}

/** How far to the right the other graph has the nodes around a place: a mean, those nearby count most. */
function sideways(ladder, x, y, reach) {
  let [sum, weights] = [0, 0];
  for (const { item, twin, y: height } of ladder) {
    if (Math.abs(height - y) > reach || item.x === undefined || twin.x === undefined) continue;
    const weight = Math.exp(-(((height - y) / reach) ** 2) * 4 - ((item.x - x) / 600) ** 2);
    sum += weight * (twin.x - item.x);
    weights += weight;
  }
  return weights ? sum / weights : 0;
}

const ladders = new Map();

/** Nodes that both graphs have, with their heights, rising on both sides. */
function ladderOf(pane, other) {
  const key = `${pane.side.index}:${pane.view.place}`;
  if (ladders.has(key)) return ladders.get(key);
  const rungs = [];
  for (const [node, index] of pane.view.of) {
    const twin = story.twin[pane.side.index][node];
    const there = twin < 0 ? undefined : other.view.of.get(twin);
    if (there !== undefined)
      rungs.push({ y: pane.view.y(index), there: other.view.y(there), item: pane.view.items[index], twin: other.view.items[there] });
  }
  rungs.sort((one, two) => one.y - two.y);
  const rising = [];
  for (const rung of rungs) if (!rising.length || (rung.y > rising.at(-1).y && rung.there > rising.at(-1).there)) rising.push(rung);
  ladders.set(key, rising);
  return rising;
}
