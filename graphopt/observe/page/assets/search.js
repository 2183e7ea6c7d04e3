// Search: words in operators and names, from hit to hit.

const searchBox = byId("search");

/** The nodes that fit some words: each word in the operator, the name or the name of an output; `op:Conv` is the operator alone. */
function matches(side, words) {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  const found = [];
  for (let node = 0; node < side.count; node += 1) {
    const op = side.op(node).toLowerCase();
    const all = `${op} ${side.name(node)} ${side
      .outputs(node)
      .map((value) => side.valueName(value))
      .join(" ")}`.toLowerCase();
    if (wanted.every((word) => (word.startsWith("op:") ? op === word.slice(3) : all.includes(word)))) found.push(node);
  }
  return found;
}

function search(words) {
  state.words = words;
  state.hits = [];
  state.hit = -1;
  panes.forEach((pane, index) => {
    const found = words.trim() ? matches(story.sides[index], words) : [];
    pane.found = new Set(found);
    pane.changed();
    if (!isShown(pane)) return;
    // What both sides have is one hit, and the side that is more to the left shows it first.
    state.hits.push(
      ...found.filter((node) => index === 0 || state.mode !== "both" || story.twin[1][node] < 0).map((node) => [index, node]),
    );
  });
  rails.forEach((rail) => rail.draw());
  showHits();
}

function showHits() {
  const count = byId("hits");
  count.textContent = !state.words.trim()
    ? ""
    : state.hits.length
      ? `${state.hit < 0 ? "" : `${numberText(state.hit + 1)} of `}${numberText(state.hits.length)}`
      : "none";
  count.classList.toggle("none", Boolean(state.words.trim()) && !state.hits.length);
}

function nextHit(by) {
  if (!state.hits.length) return;
  state.hit = state.hit < 0 ? (by > 0 ? 0 : state.hits.length - 1) : (state.hit + by + state.hits.length) % state.hits.length;
  const [index, node] = state.hits[state.hit];
  choose(story.sides[index], node, { reveal: true });
  showHits();
}

function searchOperator(name) {
  searchBox.value = `op:${name}`;
  search(searchBox.value);
  nextHit(1);
}
