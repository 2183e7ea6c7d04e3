// Puts it together: panes, panel, details, search, keys; and keeps both sides in step.

const story = new Story();
const queue = new LayoutQueue();
const byId = (name) => document.getElementById(name);
const state = { mode: story.hasTwo ? "both" : "one", side: 0, linked: true, rewrite: null, hits: [], hit: -1, words: "" };

// ---- panes

const hooks = {
  queue,
  chosen: (pane, node, far) => choose(pane.side, node, { reveal: far }),
  opened: (pane, place) => openGraph(pane.side, place),
  moved,
  laidOut,
};
const panes = [...document.querySelectorAll(".pane")]
  .slice(0, story.sides.length)
  .map((root, index) => new Pane(root, story.sides[index], hooks));
const rails = panes.map((pane) => new Rail(pane.root.querySelector(".rail"), pane));
const details = new Details(byId("details"), story, { go, rewrite: chooseRewrite, open: openGraph, close: () => choose(null, -1) });
const panel = new Panel(byId("panel"), story, { search: searchOperator, rewrite: chooseRewrite, rule: markRule, go });

function active() {
  return panes[state.side] ?? panes[0];
}

function isShown(pane) {
  return !pane.root.hidden;
}

function laidOut(pane) {
  pane.refresh();
  showProgress();
  scheduleBackground();
}

/** Lay out what nobody looks at yet, once there is nothing more urgent. */
let background = 0;
function scheduleBackground() {
  clearTimeout(background);
  background = setTimeout(() => {
    if (queue.busy || queue.waiting.length) return;
    const middle = (pane) => pane.transform.invertY(pane.size.height / 2);
    for (const pane of panes.filter((each) => isShown(each) && each.view)) {
      const open = pane.view.regions.filter((region) => !region.result);
      const distance = (region) => Math.abs(pane.view.tops[region.index] - middle(pane));
      open.sort((one, other) => distance(one) - distance(other));
      if (open.length) queue.ask(pane.view, open[0], 1e9, () => laidOut(pane));
    }
  }, 60);
}

function showProgress() {
  const [done, all] = panes
    .filter((pane) => isShown(pane) && pane.view)
    .map((pane) => pane.progress)
    .reduce(([done, all], [more, most]) => [done + more, all + most], [0, 0]);
  const busy = byId("progress");
  busy.hidden = done >= all;
  busy.querySelector("span").textContent = `laying out ${done} of ${all} parts`;
  if (done >= all) document.documentElement.dataset.ready = "all";
}

// ---- which graph

function openGraph(side, place, { both = true } = {}) {
  panes[side.index].show(place);
  const twin = story.hasTwo ? story.otherGraph(side.index, place) : -1;
  if (both && twin >= 0) panes[1 - side.index].show(twin);
  crumbs();
  showProgress();
}

function crumbs() {
  for (const pane of panes) {
    const { side, view } = pane;
    const trail = [];
    for (let place = view.place; place >= 0; place = side.parent(place)) trail.unshift(place);
    const held = trail.flatMap((place, at) => [
      at ? el("span", { class: "dim" }, " ▸ ") : null,
      at === trail.length - 1
        ? el("b", {}, side.graphTitle(place))
        : button(side.graphTitle(place), () => openGraph(side, place), { class: "plain" }),
    ]);
    pane.root.querySelector(".crumbs").replaceChildren(...held.filter(Boolean));
    const counts = { gone: 0, made: 0, changed: 0 };
    const graph = side.graphs[view.place];
    for (let node = graph.first; node < graph.first + graph.count; node += 1) if (side.state[node]) counts[side.state[node]] += 1;
    const words = [`${numberText(graph.count)} node${graph.count === 1 ? "" : "s"}`];
    if (counts.gone) words.push(`${numberText(counts.gone)} removed`);
    if (counts.made) words.push(`${numberText(counts.made)} new`);
    if (counts.changed) words.push(`${numberText(counts.changed)} changed`);
    pane.root.querySelector(".numbers").textContent = words.join(" · ");
    const others = pane.root.querySelector("select");
    others.hidden = side.graphs.length < 2;
    if (!others.options.length) {
      side.graphs.forEach((each, place) =>
        others.append(el("option", { value: place }, `${side.graphTitle(place)} (${numberText(each.count)})`)),
      );
      others.addEventListener("change", () => openGraph(side, Number(others.value)));
    }
    others.value = view.place;
    pane.root.querySelector(".crumbs").hidden = !others.hidden && trail.length === 1; // the list says it
  }
}

// ---- choosing

/** Choose a node; its counterpart on the other side is chosen, or those that stand for it are marked. */
function choose(side, node, { reveal = false } = {}) {
  if (!side || node < 0) {
    for (const pane of panes) {
      pane.choose(-1);
      pane.mark([]);
    }
    details.hide();
    state.rewrite = null;
    panel.chooseRewrite(null);
    return rails.forEach((rail) => rail.draw());
  }
  state.side = side.index;
  const pane = panes[side.index];
  const others = story.hasTwo ? story.counterparts(side.index, node) : [];
  const twin = story.twin[side.index][node];
  const other = panes[1 - side.index];
  details.show(side, node); // first: it takes room
  pane.choose(node);
  pane.mark([]);
  const isMoved = reveal && pane.reveal([node]);
  if (other) {
    other.choose(twin);
    other.mark(others.filter((each) => each !== twin));
    if (others.length) other.reveal(twin < 0 ? others : [twin], { force: isMoved });
    else if (isMoved) accompany(pane);
  }
  crumbs();
  say(`${side.op(node)} ${side.label(node)}, ${{ gone: "removed", made: "new", changed: "changed", "": "unchanged" }[side.state[node]]}`);
  rails.forEach((rail) => rail.draw());
}

/** Bring the other graph to where one just goes. */
function accompany(pane) {
  const place = partner(pane, pane.goal.x, pane.goal.y);
  if (place) panes[1 - pane.side.index].reach(place[1], place[0], pane.goal.scale);
}

function go(side, node) {
  if (state.mode !== "both" && panes.length > 1) setMode(side.index ? "after" : "before");
  if (!isShown(panes[side.index])) setMode("both");
  choose(side, node, { reveal: true });
}

/** Show a rewrite: what it took out and what it put in, on both sides. */
function chooseRewrite(rewrite) {
  if (!rewrite) return;
  state.rewrite = rewrite;
  if (state.mode !== "both") setMode("both");
  const [gone, made] = [0, 1].map((index) => story.nodesOf([rewrite], index));
  if (made.length === 1) details.show(story.sides[1], made[0]);
  else if (gone.length) details.show(story.sides[0], gone.at(-1));
  else details.hide();
  panes.forEach((pane, index) => {
    pane.choose(-1);
    pane.mark([gone, made][index]);
    pane.reveal([gone, made][index], { force: true });
  });
  if (gone.length && !made.length) accompany(panes[0]);
  if (made.length && !gone.length) accompany(panes[1]);
  crumbs();
  panel.chooseRewrite(rewrite);
  byId("current").textContent = rewriteTitle(rewrite);
  say(`rewrite ${rewriteTitle(rewrite)} at ${rewrite.at}`);
  rails.forEach((rail) => rail.draw());
}

function step(by) {
  if (!story.rewrites.length) return;
  const place = state.rewrite ? state.rewrite.place + by : by > 0 ? 0 : story.rewrites.length - 1;
  chooseRewrite(story.rewrites[(place + story.rewrites.length) % story.rewrites.length]);
}

/** Mark all places of a rule. */
function markRule(rewrites) {
  if (state.mode !== "both") setMode("both");
  panes.forEach((pane, index) => {
    pane.choose(-1);
    pane.mark(story.nodesOf(rewrites, index));
  });
  rails.forEach((rail) => rail.draw());
  say(`${rewrites.length} places marked`);
}

// ---- the frame around it

function setMode(mode) {
  state.mode = mode;
  panes.forEach((pane, index) => {
    pane.root.hidden = mode !== "both" && mode !== "one" && mode !== ["before", "after"][index];
  });
  panes.forEach((pane) => pane.resized()); // at once: what is revealed next is to stay where it comes
  if (mode !== "both") state.side = mode === "after" ? 1 : 0;
  for (const tab of document.querySelectorAll("[data-mode]")) tab.setAttribute("aria-pressed", String(tab.dataset.mode === mode));
  search(searchBox.value);
  showProgress();
}

function setTab(name) {
  for (const tab of document.querySelectorAll("[data-tab]")) {
    const on = tab.dataset.tab === name;
    tab.setAttribute("aria-selected", String(on));
    tab.tabIndex = on ? 0 : -1;
    byId(tab.dataset.tab).classList.toggle("off", !on);
  }
}

function say(words) {
  byId("spoken").textContent = words;
}

function header() {
  const name = (path) => path.split(/[\\/]/).pop();
  byId("name").textContent = name(REPORT.source) || name(REPORT.output) || "model";
  byId("name").title = REPORT.source;
  const { before, after, verification } = REPORT;
  const facts = byId("facts");
  const fact = (words, what, kind = "") => facts.append(el("span", { class: `fact ${kind}` }, el("b", {}, words), ` ${what}`));
  if (story.hasTwo) {
    fact(`${numberText(before.nodes)} → ${numberText(after.nodes)}`, `nodes ${share(before.nodes, after.nodes)}`);
    fact(`${bytesText(before.initializer_bytes)} → ${bytesText(after.initializer_bytes)}`, "weights");
    if (REPORT.passes.length) fact(numberText(REPORT.rules.reduce((sum, rule) => sum + rule.fired, 0)), "rewrites");
    if (REPORT.seconds.optimize !== undefined) fact(secondsText(REPORT.seconds.optimize), "to optimize");
    if (verification) fact(verification.verdict, "", verdictKind(verification.verdict));
    else if (REPORT.passes.length) fact("not verified", "", "plainly");
  } else {
    fact(numberText(before.nodes), "nodes");
    fact(bytesText(before.initializer_bytes), "weights");
  }
}

/** From a node to its neighbour: up to what it reads, down to who reads it, sideways in its rank. */
function walk(key) {
  const pane = active();
  const node = pane.side.drawn(pane.chosen);
  const index = pane.view.of.get(node);
  if (index === undefined) return false;
  const { view, side } = pane;
  let next;
  if (key === "ArrowUp")
    next = side
      .inputs(node)
      .map((value) => (value < 0 ? -1 : side.producer[value]))
      .find((from) => from >= 0 && view.of.has(from));
  else if (key === "ArrowDown") next = side.readersOf(node).find((reader) => view.of.has(reader));
  else {
    const beside = view.items
      .filter((item) => item.kind === "node" && view.ranks[item.index] === view.ranks[index])
      .sort((one, other) => one.x - other.x);
    next = beside[beside.findIndex((item) => item.index === index) + (key === "ArrowRight" ? 1 : -1)]?.node;
  }
  if (next === undefined) return true;
  choose(side, next, { reveal: true });
  return true;
}

const KEYS = {
  "/": () => searchBox.select(),
  n: () => step(1),
  p: () => step(-1),
  "+": () => active().zoomBy(1.3),
  "=": () => active().zoomBy(1.3),
  "-": () => active().zoomBy(1 / 1.3),
  0: () => panes.filter(isShown).forEach((pane) => pane.fit()),
  Home: () => active().goTop(),
  Escape: () => choose(null, -1),
  Enter: () => openChosen(),
  Backspace: () => openParent(),
  "?": () => byId("help").showModal(),
};

function openChosen() {
  const pane = active();
  const opened = pane.chosen < 0 ? [] : pane.side.opens(pane.chosen);
  if (opened.length) openGraph(pane.side, opened[0][1]);
}

function openParent() {
  const pane = active();
  const graph = pane.side.graphs[pane.view.place];
  if (graph.kind === "main") return;
  openGraph(pane.side, graph.owner < 0 ? 0 : pane.side.parent(pane.view.place));
  if (graph.owner >= 0) choose(pane.side, graph.owner, { reveal: true });
}

function pressed(event) {
  const typing = event.target.closest("input, select, textarea, dialog");
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const onControl = event.target.closest("button, summary, [role=tab]");
  if (onControl && ["Enter", " ", "ArrowLeft", "ArrowRight"].includes(event.key)) return;
  const arrows = { ArrowUp: [0, 80], ArrowDown: [0, -80], ArrowLeft: [80, 0], ArrowRight: [-80, 0] };
  if (arrows[event.key]) {
    if (event.target.closest("#panel")) return;
    event.preventDefault();
    if (!walk(event.key)) active().panBy(...arrows[event.key]);
  } else if (KEYS[event.key]) {
    event.preventDefault();
    KEYS[event.key]();
  }
}

function listen() {
  document.addEventListener("keydown", pressed);
  panes.forEach((pane, index) =>
    pane.svg.addEventListener("focus", () => {
      state.side = index;
    }),
  );
  panes.forEach((pane, index) =>
    pane.svg.addEventListener("pointerdown", () => {
      state.side = index;
    }),
  );
  searchBox.addEventListener("input", () => search(searchBox.value));
  searchBox.addEventListener("keydown", (event) => {
    if (event.key === "Enter") nextHit(event.shiftKey ? -1 : 1);
    if (event.key === "Escape") {
      searchBox.value = "";
      search("");
      active().svg.focus();
    }
  });
  const act = {
    in: () => active().zoomBy(1.3),
    out: () => active().zoomBy(1 / 1.3),
    fit: KEYS[0],
    next: () => step(1),
    previous: () => step(-1),
    found: () => nextHit(1),
    refound: () => nextHit(-1),
    help: () => byId("help").showModal(),
    link: (made) => {
      state.linked = !state.linked;
      made.setAttribute("aria-pressed", String(state.linked));
    },
    panel: (made) => made.setAttribute("aria-pressed", String(!document.body.classList.toggle("wide"))),
  };
  for (const made of document.querySelectorAll("[data-act]")) made.addEventListener("click", () => act[made.dataset.act](made));
  for (const made of document.querySelectorAll("[data-mode]")) made.addEventListener("click", () => setMode(made.dataset.mode));
  const tabs = [...document.querySelectorAll("[data-tab]")];
  tabs.forEach((tab) => tab.addEventListener("click", () => setTab(tab.dataset.tab)));
  byId("tabs").addEventListener("keydown", (event) => {
    const usable = tabs.filter((tab) => !tab.hidden);
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    const next = usable[(usable.indexOf(document.activeElement) + by + usable.length) % usable.length];
    setTab(next.dataset.tab);
    next.focus();
  });
  addEventListener("beforeprint", () =>
    document.querySelectorAll("#summary details, #checks details").forEach((each) => {
      each.open = true;
    }),
  );
}

function begin() {
  header();
  document.body.classList.toggle("alone", !story.hasTwo);
  if (!story.rewrites.length)
    document.querySelectorAll(".of-rewrites").forEach((each) => {
      each.hidden = true;
    });
  listen();
  setTab("summary");
  setMode(state.mode);
  panes.forEach((pane) => pane.show(0));
  crumbs();
  showProgress();
  scheduleBackground();
  document.documentElement.dataset.ready = "yes";
}
