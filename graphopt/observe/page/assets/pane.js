// One drawn graph: zoom and pan (d3-zoom), only what is in sight is in the document, choosing, marking.

const SVG = "http://www.w3.org/2000/svg";
const NEAR = 0.36; // from this scale on, nodes are drawn with their words
const [SMALLEST, LARGEST] = [0.004, 2.5];
const calm = matchMedia("(prefers-reduced-motion: reduce)");

function svg(tag, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

class Pane {
  /** hooks: chosen(pane, node), moved(pane), opened(pane, graph), story, queue */
  constructor(root, side, hooks) {
    Object.assign(this, { root, side, hooks, views: new Map(), chosen: -1, marked: new Set(), found: new Set(), shown: new Map() });
    this.svg = root.querySelector("svg");
    this.world = svg("g");
    this.layers = ["placeholders", "far", "near", "over", "captions"].map((name) => svg("g", { class: name }));
    this.world.append(...this.layers);
    this.svg.append(this.world);
    this.transform = d3.zoomIdentity;
    this.zoom = d3
      .zoom()
      .scaleExtent([SMALLEST, LARGEST])
      .filter((event) => filtered(event))
      .on("zoom", (event) => this.zoomed(event));
    this.selection = d3.select(this.svg);
    this.selection.call(this.zoom).on("dblclick.zoom", null);
    this.svg.addEventListener("wheel", (event) => this.wheeled(event), { passive: false });
    this.svg.addEventListener("click", (event) => this.clicked(event));
    this.svg.addEventListener("dblclick", (event) => this.doubleClicked(event));
    new ResizeObserver(() => this.resized()).observe(this.svg);
  }

  /** What stood in the middle stays there, and what is on its way there arrives; the top stays at the top. */
  resized() {
    const [wide, high] = [this.svg.clientWidth, this.svg.clientHeight];
    if (!wide) {
      if (this.aim) this.move(this.aim); // while it is hidden nothing moves slowly
      return;
    }
    const shift = this.wide ? (wide - this.wide) / 2 : 0;
    const fall = this.isCentred ? (high - this.high) / 2 : 0;
    [this.wide, this.high] = [wide, high];
    const { x, y, k } = this.aim ?? this.transform;
    if (shift || fall) this.move(d3.zoomIdentity.translate(x + shift, y + fall).scale(k), Boolean(this.aim));
    this.changed();
  }

  show(place) {
    if (this.view?.place === place) return;
    if (this.view) this.view.last = this.transform;
    if (!this.views.has(place)) this.views.set(place, new View(this.side, place));
    this.view = this.views.get(place);
    for (const layer of this.layers) layer.replaceChildren();
    this.shown.clear();
    this.root.classList.toggle("empty", this.view.items.length === 0);
    if (this.view.last) this.move(this.view.last);
    else this.goTop();
  }

  /** Of a hidden one, the size that it had: when it is shown, `resized` goes on from there. */
  get size() {
    return { width: this.svg.clientWidth || this.wide || 1, height: this.svg.clientHeight || this.high || 1 };
  }

  goTop() {
    this.move(d3.zoomIdentity.translate(this.size.width / 2, 24).scale(0.8));
  }

  move(transform, slowly = false) {
    const isSlow = slowly && !calm.matches && this.svg.clientWidth > 0; // d3 divides by the size of what it moves slowly
    this.aim = isSlow ? transform : null;
    this.isCentred = false;
    if (!isSlow) return this.selection.interrupt().call(this.zoom.transform, transform);
    const transition = this.selection.transition().duration(280).call(this.zoom.transform, transform);
    return transition.on("end interrupt cancel", () => {
      if (this.aim === transform) this.aim = null;
    });
  }

  /** Move as somebody who looks at this graph does: the other one follows. */
  lead(act) {
    this.leading = true;
    act(this.selection.interrupt());
    this.leading = false;
  }

  zoomBy(factor) {
    this.lead((selection) => selection.call(this.zoom.scaleBy, factor));
  }

  panBy(x, y) {
    this.lead((selection) => selection.call(this.zoom.translateBy, x / this.transform.k, y / this.transform.k));
  }

  scrollTo(y) {
    const transform = d3.zoomIdentity.translate(this.transform.x, this.size.height / 2 - y * this.transform.k).scale(this.transform.k);
    this.lead((selection) => selection.call(this.zoom.transform, transform));
  }

  fit() {
    const { width, height } = this.size;
    const wide = this.view.regions.reduce((most, region) => Math.max(most, region.result?.width ?? 0), 300);
    const scale = Math.max(SMALLEST, Math.min(1, (height - 32) / this.view.height, (width - 48) / wide));
    this.move(d3.zoomIdentity.translate(width / 2, (height - this.view.height * scale) / 2).scale(scale), true);
  }

  zoomed(event) {
    this.transform = event.transform;
    this.world.setAttribute("transform", event.transform);
    this.changed();
    this.hooks.moved(this, this.leading || Boolean(event.sourceEvent));
  }

  wheeled(event) {
    if (event.ctrlKey || event.metaKey) return; // d3-zoom's
    event.preventDefault();
    const unit = event.deltaMode === 1 ? 16 : 1;
    this.panBy(...(event.shiftKey ? [-event.deltaY * unit, 0] : [-event.deltaX * unit, -event.deltaY * unit]));
  }

  /** Draw again before the next frame. */
  changed() {
    this.waiting ??= requestAnimationFrame(() => {
      this.waiting = null;
      if (this.view) this.draw();
    });
  }

  // ---- drawing

  get sight() {
    const { width, height } = this.size;
    const [left, top] = this.transform.invert([0, 0]);
    const [right, bottom] = this.transform.invert([width, height]);
    return { left, top, right, bottom };
  }

  draw() {
    const { top, bottom } = this.sight;
    const near = this.transform.k >= NEAR;
    const { regions, tops } = this.view;
    this.svg.classList.toggle("distant", !near);
    const centre = (top + bottom) / 2;
    const seen = new Set();
    for (const region of regions) {
      const [upper, lower] = [tops[region.index] - ROW, tops[region.index] + (region.high - region.low + 2) * ROW];
      const distance = Math.abs((upper + lower) / 2 - centre);
      if (lower < top || upper > bottom) continue;
      if (!region.result) this.hooks.queue.ask(this.view, region, distance, () => this.hooks.laidOut(this));
      seen.add(`${region.index}:${region.result ? (near ? "near" : "far") : "placeholders"}`);
    }
    for (const [key, drawn] of this.shown) {
      if (seen.has(key)) continue;
      drawn.remove();
      this.shown.delete(key);
    }
    for (const key of seen) if (!this.shown.has(key)) this.put(key);
    this.outline();
    this.layers[4].replaceChildren(...(near ? [] : this.captions(this.sight)));
  }

  /** What the regions in sight are called, beside them, as large at every scale. */
  *captions({ left, top, bottom }) {
    const unit = 1 / this.transform.k;
    let last = "";
    let free = -Infinity;
    for (const region of this.view.regions) {
      const middle = this.view.tops[region.index] + ((region.high - region.low) * ROW) / 2;
      const words = this.view.caption(region);
      if (!region.result || !words || words === last || middle < top || middle > bottom || middle < free) continue;
      [last, free] = [words, middle + 15 * unit];
      const shown = cutFront(words, 44);
      const least = left + (textWidth(shown, "11px system-ui, sans-serif") + 12) * unit; // else it would begin outside
      yield svg("text", { x: Math.max(least, region.left - 14 * unit), y: middle, "font-size": 11 * unit, class: "caption" }, shown);
    }
  }

  put(key) {
    const [index, layer] = key.split(":");
    const region = this.view.regions[index];
    const drawn = { near: () => this.near(region), far: () => this.far(region), placeholders: () => this.placeholder(region) }[layer]();
    this.layers[["placeholders", "far", "near"].indexOf(layer)].append(drawn);
    this.shown.set(key, drawn);
  }

  placeholder(region) {
    const top = this.view.tops[region.index];
    const height = (region.high - region.low) * ROW + HEIGHT;
    const words = svg("text", { x: 0, y: top + height / 2, class: "busy" }, "laying out…");
    return svg("g", {}, svg("rect", { x: -150, y: top, width: 300, height, rx: 8 }), words);
  }

  edges(region) {
    let [lines, tips] = ["", ""];
    region.paths.forEach((points, at) => {
      lines += bent(points);
      if (typeof region.pieces[at][1] === "number") tips += tip(points);
    });
    const next = this.view.regions[region.index + 1];
    if (next?.result) lines += seam(region, next);
    return [lines, tips];
  }

  near(region) {
    const [lines, tips] = this.edges(region);
    const group = svg("g", {}, svg("path", { class: "edges", d: lines }), svg("path", { class: "tips", d: tips }));
    for (const index of region.items) group.append(this.node(this.view.items[index]));
    return group;
  }

  stateOf(item) {
    return item.kind === "node" ? this.side.state[item.node] : "";
  }

  node(item) {
    const [x, y] = [item.x - item.width / 2, this.view.y(item.index) - HEIGHT / 2];
    const group = svg("g", {
      class: `item ${item.kind} ${this.stateOf(item)}`,
      "data-item": item.index,
      transform: `translate(${x},${y})`,
    });
    group.append(svg("rect", { width: item.width, height: HEIGHT, rx: item.kind === "node" ? 6 : HEIGHT / 2 }));
    if (item.opens) group.append(svg("rect", { class: "stack", x: 3, y: -3, width: item.width - 6, height: 3 }));
    group.append(svg("text", { x: item.width / 2, y: item.detail ? 16 : 23, class: "title" }, item.opens ? `${item.title} ▸` : item.title));
    if (item.detail) group.append(svg("text", { x: item.width / 2, y: 30, class: "detail" }, item.detail));
    return group;
  }

  /** From far away: every node a block, one path for each state; and what the region is called. */
  far(region) {
    const paths = {};
    for (const index of region.items) {
      const item = this.view.items[index];
      const key = item.kind === "node" ? this.stateOf(item) || "same" : "port";
      const box = `M${(item.x - item.width / 2).toFixed(1)},${this.view.y(index) - HEIGHT / 2}h${item.width}v${HEIGHT}h${-item.width}z`;
      paths[key] = (paths[key] ?? "") + box;
    }
    const group = svg("g", {}, svg("path", { class: "edges", d: this.edges(region)[0] }));
    for (const [key, d] of Object.entries(paths)) group.append(svg("path", { class: `blocks ${key}`, d }));
    return group;
  }

  /** The frames around what is chosen, marked and found, and the edges of what is chosen. */
  outline() {
    const over = this.layers[3];
    over.replaceChildren();
    const frame = (node, name, margin) => {
      const item = this.itemOf(node);
      if (item?.x === undefined) return;
      const wide = margin / Math.min(1, Math.max(this.transform.k, 0.05));
      over.append(
        svg("rect", {
          class: name,
          x: item.x - item.width / 2 - wide,
          y: this.view.y(item.index) - HEIGHT / 2 - wide,
          width: item.width + 2 * wide,
          height: HEIGHT + 2 * wide,
          rx: 6 + wide,
        }),
      );
    };
    if (this.transform.k >= NEAR) for (const node of this.inSight(this.found)) frame(node, "found", 3);
    for (const node of this.marked) frame(node, "marked", 4);
    if (this.chosen < 0) return;
    const index = this.view.of.get(this.side.drawn(this.chosen));
    if (index === undefined) return;
    this.ownEdges(index, over);
    frame(this.chosen, "chosen", 4);
  }

  *inSight(nodes) {
    const { top, bottom } = this.sight;
    for (const node of nodes) {
      const item = this.itemOf(node);
      if (item && this.view.y(item.index) > top - ROW && this.view.y(item.index) < bottom + ROW) yield node;
    }
  }

  ownEdges(index, over) {
    const ends = new Set([index, `in${index}`, `out${index}`]);
    let path = "";
    for (const region of this.view.regions) {
      region.paths?.forEach((points, at) => {
        const [from, to] = region.pieces[at];
        if (ends.has(from) || to === index) path += bent(points) + (typeof to === "number" ? tip(points) : "");
      });
    }
    over.append(svg("path", { class: "own", d: path }));
  }

  itemOf(node) {
    const index = this.view.of.get(this.side.drawn(node));
    return index === undefined ? undefined : this.view.items[index];
  }

  // ---- choosing

  clicked(event) {
    const found = event.target.closest?.("[data-item]");
    const item = found ? this.view.items[found.dataset.item] : undefined;
    if (!item) this.hooks.chosen(this, -1);
    else if (item.kind === "stub" && item.node !== undefined) this.hooks.chosen(this, item.node, true);
    else if (item.kind === "stub") this.reach(this.view.y(item.to), this.view.items[item.to].x ?? 0);
    else if (item.kind === "node") this.hooks.chosen(this, item.node);
    else if (this.side.producer[item.value] >= 0) this.hooks.chosen(this, this.side.producer[item.value], true);
  }

  doubleClicked(event) {
    const found = event.target.closest?.("[data-item]");
    const item = found ? this.view.items[found.dataset.item] : undefined;
    if (item?.opens) this.hooks.opened(this, this.side.opens(item.node)[0][1]);
  }

  choose(node) {
    this.chosen = node;
    this.changed();
  }

  mark(nodes) {
    this.marked = new Set(nodes);
    this.changed();
  }

  /** Bring nodes into sight, in the graph that holds the first of them. */
  reveal(nodes, { force = false, scale = 0 } = {}) {
    if (!nodes.length) return;
    this.show(this.side.home[this.side.drawn(nodes[0])]);
    const items = nodes.map((node) => this.itemOf(node)).filter(Boolean);
    if (!items.length) return;
    const ys = items.map((item) => this.view.y(item.index));
    const [top, bottom] = [Math.min(...ys) - HEIGHT, Math.max(...ys) + HEIGHT];
    const sight = this.sight;
    const known = items.filter((item) => item.x !== undefined);
    const x = known.length ? known.reduce((sum, item) => sum + item.x, 0) / known.length : 0;
    if (!force && top > sight.top && bottom < sight.bottom && x > sight.left && x < sight.right && this.transform.k >= NEAR) return;
    const fitting = Math.min(1, (this.size.height - 40) / (bottom - top));
    const wanted = scale || Math.max(this.transform.k, 0.7);
    this.reach((top + bottom) / 2, x, Math.max(NEAR, Math.min(wanted, fitting)), items);
    return true;
  }

  reach(y, x, scale = Math.max(this.transform.k, 0.7), items = []) {
    const { width, height } = this.size;
    this.move(d3.zoomIdentity.translate(width / 2 - x * scale, height / 2 - y * scale).scale(scale), true);
    this.isCentred = !this.svg.clientWidth; // by a height that may be another once it is shown: the details take room
    this.goal = { x, y, scale };
    const open = items.find((item) => item.x === undefined);
    if (!open) return;
    const region = this.view.regions[this.view.regionOf[this.view.ranks[open.index]]];
    this.hooks.queue.ask(this.view, region, -1, () => {
      this.hooks.laidOut(this);
      this.reach(y, open.x, scale);
    });
  }

  /** How far the layout has come, of all regions. */
  get progress() {
    return [this.view.regions.filter((region) => region.result).length, this.view.regions.length];
  }

  /** A region has found its place: draw it where only its frame stood, and its neighbours, whose edges reach it. */
  refresh() {
    for (const drawn of this.shown.values()) drawn.remove();
    this.shown.clear();
    this.changed();
  }
}

/** What d3-zoom takes: dragging, touch, and the wheel with Ctrl. */
function filtered(event) {
  if (event.type === "wheel") return event.ctrlKey || event.metaKey;
  return !event.button && !event.ctrlKey;
}
