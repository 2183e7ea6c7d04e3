// A graph cut into regions that are laid out one at a time: what is looked at first, the rest when there is time.
//
// A layered layout of thousands of nodes takes minutes, most of it for edges that run past hundreds of others. So such an edge is not
// drawn: its reader gets a stub that names what it reads and leads there. What is left is cut where few edges cross. Ranks are known
// before anything is laid out, so every node's height on the page is too.

const HEIGHT = 38; // of a node
const GAP = 30; // between ranks
const ROW = HEIGHT + GAP;
const FAR = 40; // ranks that an edge may run past
const REGION = 70; // nodes in a region, about

const pen = document.createElement("canvas").getContext("2d");
const widths = new Map();

function textWidth(words, font) {
  const key = font + words;
  if (!widths.has(key)) {
    pen.font = font;
    widths.set(key, pen.measureText(words).width);
  }
  return widths.get(key);
}

function cut(words, length) {
  return words.length > length ? `${words.slice(0, length - 1)}…` : words;
}

function cutFront(words, length) {
  return words.length > length ? `…${words.slice(1 - length)}` : words;
}

/** One graph of one side, ready to draw: items (nodes, inputs, outputs, stubs), their ranks, regions. */
class View {
  constructor(side, place) {
    Object.assign(this, { side, place, items: [], edges: [], of: new Map() });
    this.collect();
    this.rank();
    this.shorten();
    this.divide();
  }

  add(item) {
    const [title, detail] = [item.title, item.detail ?? ""];
    const width = Math.max(textWidth(title, "600 12.5px system-ui, sans-serif"), textWidth(detail, "10.5px system-ui, sans-serif"));
    this.items.push({ ...item, detail, width: Math.round(width) + 26 + (item.opens ? 14 : 0), index: this.items.length });
    return this.items.length - 1;
  }

  collect() {
    const { side, place } = this;
    const graph = side.graphs[place];
    const made = new Map(); // value -> item
    const outside = (value, kind) => {
      if (made.has(value) || side.kind(value) === INITIALIZER || side.kind(value) === OVERRIDABLE) return;
      if (side.producer[value] >= 0 && side.isConstant(side.producer[value])) return;
      const title = cutFront(side.valueName(value) || kind, 26);
      made.set(value, this.add({ kind, value, title, detail: cut(shortType(side.type(value)), 30) }));
    };
    graph.inputs.forEach((value) => outside(value, "input"));
    if (graph.kind === "subgraph") side.captures(place).forEach((value) => outside(value, "captured"));
    for (let node = graph.first; node < graph.first + graph.count; node += 1) {
      if (side.isConstant(node)) continue;
      const first = side.outputs(node)[0];
      const detail = first === undefined ? "" : cut(shortType(side.type(first)), 30);
      const item = this.add({ kind: "node", node, title: cutFront(side.op(node), 28), detail, opens: side.opens(node).length > 0 });
      this.of.set(node, item);
      for (const value of this.reads(node)) if (made.has(value)) this.edges.push([made.get(value), item]);
      side.outputs(node).forEach((value) => made.set(value, item));
    }
    graph.outputs.forEach(([name, value]) => {
      const item = this.add({ kind: "output", value, title: cutFront(text(name), 26), detail: cut(shortType(side.type(value)), 30) });
      if (made.has(value)) this.edges.push([made.get(value), item]);
    });
    this.edges = unique(this.edges);
  }

  /** What a node reads, and what the graphs inside it do. */
  reads(node) {
    const found = new Set(this.side.inputs(node));
    for (const [, inner] of this.side.opens(node)) {
      if (this.side.graphs[inner].kind === "subgraph") this.side.captures(inner).forEach((value) => found.add(value));
    }
    return found;
  }

  /** As low as its readers allow: what is made long before it is needed stands where it is needed. */
  rank() {
    const readers = this.items.map(() => []);
    for (const [from, to] of this.edges) readers[from].push(to);
    this.ranks = new Array(this.items.length).fill(0);
    readers.forEach((list, from) =>
      list.forEach((to) => {
        this.ranks[to] = Math.max(this.ranks[to], this.ranks[from] + 1);
      }),
    );
    for (let item = this.items.length - 1; item >= 0; item -= 1) {
      if (readers[item].length) this.ranks[item] = Math.min(...readers[item].map((to) => this.ranks[to])) - 1;
    }
  }

  /** Put stubs in the place of edges that run too far. */
  shorten() {
    const far = new Map(); // item that is read -> those who read it
    this.edges = this.edges.filter(([from, to]) => {
      if (this.ranks[to] - this.ranks[from] <= FAR) return true;
      add(far, from, to);
      return false;
    });
    for (const [from, readers] of far) {
      let stub = -1;
      for (const to of readers.sort((one, other) => this.ranks[one] - this.ranks[other])) {
        if (stub < 0 || this.ranks[to] - this.ranks[stub] > FAR / 2) {
          const source = this.items[from];
          stub = this.add({ kind: "stub", to: from, node: source.node, title: `↑ ${source.title}`, detail: source.detail });
          this.ranks[stub] = this.ranks[to] - 1;
        }
        this.edges.push([stub, to]);
      }
    }
  }

  /** Cut between ranks where few values cross. */
  divide() {
    const deepest = this.ranks.reduce((most, rank) => Math.max(most, rank), 0);
    const count = new Array(deepest + 1).fill(0);
    const change = new Array(deepest + 2).fill(0);
    const reach = this.ranks.slice();
    for (const [from, to] of this.edges) reach[from] = Math.max(reach[from], this.ranks[to]);
    this.ranks.forEach((rank, item) => {
      count[rank] += 1;
      change[rank] += 1;
      change[reach[item]] -= 1;
    });
    this.regions = [];
    let crossing = 0;
    const crossings = change.map((step) => (crossing += step));
    for (let low = 0; low <= deepest;) {
      const high = narrowest(low, deepest, count, crossings);
      this.regions.push({ low, high, index: this.regions.length, items: [], pieces: [], result: null });
      low = high + 1;
    }
    this.tops = this.regions.map((region) => ROW * (region.low + region.index)); // a free row between regions
    this.regionOf = new Array(deepest + 1);
    for (const region of this.regions) this.regionOf.fill(region.index, region.low, region.high + 1);
    this.height = ROW * (deepest + this.regions.length) + HEIGHT;
    this.items.forEach((item) => this.regions[this.regionOf[this.ranks[item.index]]].items.push(item.index));
    this.wire();
  }

  /** What most of the names in a region begin with. */
  caption(region) {
    if (region.caption !== undefined) return region.caption;
    const names = region.items
      .map((item) => this.items[item])
      .filter((item) => item.kind === "node")
      .map((item) => this.side.name(item.node));
    const mark = names.some((name) => name.includes("/")) ? "/" : ".";
    let scopes = names.map((name) => name.split(mark).filter(Boolean).slice(0, -1));
    const found = [];
    for (let depth = 0; ; depth += 1) {
      const counts = new Map();
      for (const scope of scopes) if (scope[depth] !== undefined) counts.set(scope[depth], (counts.get(scope[depth]) ?? 0) + 1);
      const [word, count] = [...counts].sort((one, other) => other[1] - one[1])[0] ?? ["", 0];
      if (!count || count < names.length * 0.6) break;
      found.push(word);
      scopes = scopes.filter((scope) => scope[depth] === word);
    }
    region.caption = found.join("/");
    return region.caption;
  }

  y(item) {
    const rank = this.ranks[item];
    const region = this.regions[this.regionOf[rank]];
    return this.tops[region.index] + (rank - region.low) * ROW + HEIGHT / 2;
  }

  /** Share the edges out among regions; one that crosses a border goes through a port at each. */
  wire() {
    const known = new Set();
    const piece = (region, from, to) => {
      const key = `${region}:${from}:${to}`;
      if (known.has(key)) return;
      known.add(key);
      this.regions[region].pieces.push([from, to]);
    };
    for (const [from, to] of this.edges) {
      const [first, last] = [this.regionOf[this.ranks[from]], this.regionOf[this.ranks[to]]];
      for (let region = first; region <= last; region += 1) {
        piece(region, region === first ? from : `in${from}`, region === last ? to : `out${from}`);
      }
    }
  }

  /** What the layout is asked: local numbers only, so that regions alike are laid out once. */
  problem(region) {
    const names = [];
    const numbers = new Map();
    const problem = { widths: [], ranks: [], edges: [], height: HEIGHT, gap: GAP };
    const number = (name, width, rank) => {
      if (!numbers.has(name)) {
        numbers.set(name, names.length);
        names.push(name);
        problem.widths.push(width);
        problem.ranks.push(rank);
      }
      return numbers.get(name);
    };
    const end = (name) => {
      if (typeof name === "number") return numbers.get(name);
      return number(name, 8, name.startsWith("in") ? 0 : region.high - region.low + 2);
    };
    for (const item of region.items) number(item, this.items[item].width, this.ranks[item] - region.low + 1);
    for (const [from, to] of region.pieces) problem.edges.push(end(from), end(to));
    return { problem, names };
  }

  /** Where an edge leaves a node or comes in: below or above, a little towards where it leads. */
  dock(item, towards, half) {
    const { x, width } = this.items[item];
    const most = width / 2 - 14;
    return [x + Math.max(-most, Math.min(most, (towards - x) * 0.4)), this.y(item) + half];
  }

  /** Take over what the layout found: places on the page, and the ports where edges go on. */
  settle(region, names, result) {
    const shift = -result.width / 2;
    const ports = new Map();
    let top = null;
    names.forEach((name, local) => {
      if (typeof name === "number") {
        this.items[name].x = result.x[local] + shift;
        top ??= this.y(name) - result.y[local];
      } else ports.set(name, result.x[local] + shift);
    });
    const [upper, lower] = [this.tops[region.index] - GAP, this.tops[region.index] + (region.high - region.low) * ROW + HEIGHT + GAP];
    region.paths = result.paths.map((points, at) => {
      const [from, to] = region.pieces[at];
      const passed = []; // between the nodes of a rank: the second of each two points, the others lie between ranks
      for (let next = 4; next < points.length - 2; next += 4) passed.push([points[next] + shift, points[next + 1] + top]);
      const first = typeof from === "string" ? ports.get(from) : this.items[from].x;
      const last = typeof to === "string" ? ports.get(to) : this.items[to].x;
      const start = typeof from === "string" ? [first, upper] : this.dock(from, passed[0]?.[0] ?? last, HEIGHT / 2);
      const end = typeof to === "string" ? [last, lower] : this.dock(to, passed.at(-1)?.[0] ?? first, -HEIGHT / 2);
      return [...start, ...passed.flatMap(([x, y]) => [x, y - HEIGHT / 2, x, y + HEIGHT / 2]), ...end];
    });
    Object.assign(region, { ports, upper, lower, left: shift, right: shift + result.width, result });
  }
}

/** Where to end the region that begins at a rank: where the fewest values cross, about REGION nodes further. */
function narrowest(low, deepest, count, crossings) {
  let [best, cost, sum] = [deepest, Infinity, 0];
  for (let rank = low; rank < deepest; rank += 1) {
    sum += count[rank];
    if (sum > REGION * 1.8 && best < deepest) return best;
    const here = crossings[rank] * 4 + Math.abs(sum - REGION) / REGION;
    if (sum >= REGION * 0.4 && here < cost) [best, cost] = [rank, here];
  }
  return sum + count[deepest] < REGION * 1.4 ? deepest : best;
}

function unique(edges) {
  const seen = new Set();
  return edges.filter(([from, to]) => {
    const key = `${from}:${to}`;
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}
