// What the page was given, decoded: the sides (before and after), their graphs, nodes and values, and what links them.

const given = JSON.parse(document.getElementById("data").textContent);
const text = (number) => given.texts[number];
const [MADE, INPUT, INITIALIZER, OVERRIDABLE] = [0, 1, 2, 3];
const SHORT = { float: "f", uint: "u", int: "i", bfloat: "bf" };

/** A type in few letters: f32[1,128,768]. */
function shortType(type) {
  return type.replace(/^(bfloat|float|uint|int)(\d+)/, (_, kind, bits) => SHORT[kind] + bits);
}

/** One model. Nodes and values are numbers; what is asked of them are methods. */
class Side {
  constructor(raw, index, title) {
    Object.assign(this, { raw, index, title, graphs: raw.graphs, count: raw.nodes.op.length });
    this.state = new Array(this.count).fill(""); // gone, made, changed
    this.home = new Int32Array(this.count); // node -> graph
    this.graphs.forEach((graph, place) => this.home.fill(place, graph.first, graph.first + graph.count));
    this.producer = new Int32Array(raw.values.name.length).fill(-1);
    this.source = new Int32Array(raw.values.name.length).fill(-1); // value -> graph whose input it is
    this.readers = new Map(); // value -> nodes
    for (let node = 0; node < this.count; node += 1) {
      for (const value of this.outputs(node)) this.producer[value] = node;
      for (const value of new Set(this.inputs(node))) {
        if (value < 0) continue;
        if (!this.readers.has(value)) this.readers.set(value, []);
        this.readers.get(value).push(node);
      }
    }
    this.graphs.forEach((graph, place) =>
      graph.inputs.forEach((value) => {
        this.source[value] = place;
      }),
    );
    this.captured = new Map();
  }

  op(node) {
    return text(this.raw.nodes.op[node]);
  }
  name(node) {
    return text(this.raw.nodes.name[node]);
  }
  inputs(node) {
    return this.raw.nodes.inputs[node];
  }
  outputs(node) {
    return this.raw.nodes.outputs[node];
  }
  attributes(node) {
    return pairs(this.raw.nodes.attributes[node], text);
  }
  opens(node) {
    return pairs(this.raw.nodes.graphs[node], (graph) => graph);
  }
  valueName(value) {
    return text(this.raw.values.name[value]);
  }
  type(value) {
    return text(this.raw.values.type[value]);
  }
  kind(value) {
    return this.raw.values.kind[value];
  }
  note(value) {
    return text(this.raw.values.note[value]);
  }
  label(node) {
    return (
      this.name(node) ||
      this.outputs(node)
        .map((value) => this.valueName(value))
        .find(Boolean) ||
      this.op(node)
    );
  }

  /** Whether it only holds a constant: then it is drawn as part of what reads it. */
  isConstant(node) {
    return this.op(node) === "Constant" && this.inputs(node).length === 0 && this.readersOf(node).length > 0;
  }

  readersOf(node) {
    return this.outputs(node).flatMap((value) => this.readers.get(value) ?? []);
  }

  /** The node that stands in the picture for one that is not drawn. */
  drawn(node) {
    return this.isConstant(node) ? this.drawn(this.readersOf(node)[0]) : node;
  }

  graphTitle(place) {
    const graph = this.graphs[place];
    if (graph.kind === "main") return text(graph.name) || "main graph";
    if (graph.kind === "function") return `function ${text(graph.name)}`;
    return `${text(graph.held)} of ${this.label(graph.owner)}`;
  }

  /** The graph around a graph; -1 for the main graph and for bodies of functions. */
  parent(place) {
    return this.graphs[place].owner < 0 ? -1 : this.home[this.graphs[place].owner];
  }

  encloses(outer, inner) {
    for (let place = inner; place >= 0; place = this.parent(place)) if (place === outer) return true;
    return false;
  }

  /** The values that nodes inside a graph read from outside it. */
  captures(place) {
    if (this.captured.has(place)) return this.captured.get(place);
    const found = new Set();
    const graph = this.graphs[place];
    const ask = (value) => {
      if (value >= 0 && !this.encloses(place, this.graphOf(value, place))) found.add(value);
    };
    for (let node = graph.first; node < graph.first + graph.count; node += 1) {
      this.inputs(node).forEach(ask);
      for (const [, inner] of this.opens(node)) if (this.graphs[inner].kind === "subgraph") this.captures(inner).forEach(ask);
    }
    graph.outputs.forEach(([, value]) => ask(value));
    this.captured.set(place, found);
    return found;
  }

  /** The graph that makes a value; of an initializer the one that asks, since none is drawn. */
  graphOf(value, asking) {
    if (this.producer[value] >= 0) return this.home[this.producer[value]];
    return this.source[value] >= 0 ? this.source[value] : asking;
  }
}

function pairs(flat, second) {
  const found = [];
  for (let at = 0; at < flat.length; at += 2) found.push([text(flat[at]), second(flat[at + 1])]);
  return found;
}

/** Both models, and what became of each node. */
class Story {
  constructor() {
    this.sides = given.sides.map((raw, index) => new Side(raw, index, given.sides.length === 1 ? "Model" : ["Before", "After"][index]));
    const [before, after] = this.sides;
    this.rewrites = (given.rewrites ?? []).map(([number, rule, pass, at, gone, made, earlier], place) => ({
      place,
      number,
      rule: text(rule),
      pass: text(pass),
      at: text(at),
      gone,
      made,
      earlier,
      later: [],
    }));
    for (const rewrite of this.rewrites) rewrite.earlier.forEach((place) => this.rewrites[place].later.push(rewrite.place));
    this.twin = [new Int32Array(before.count).fill(-1), Int32Array.from(given.twins ?? [])];
    this.by = [new Map(), new Map()]; // node -> rewrites that took it out, or put it in or changed it
    this.stands = [new Map(), new Map()]; // node -> what it became, or came from, by its own word
    if (!after) return;
    for (const [node, ...old] of given.stands)
      for (const each of old) {
        add(this.stands[0], each, node);
        add(this.stands[1], node, each);
      }
    this.twin[1].forEach((node, place) => {
      if (node >= 0) this.twin[0][node] = place;
    });
    this.twin[0].forEach((node, place) => {
      if (node < 0) before.state[place] = "gone";
    });
    this.twin[1].forEach((node, place) => {
      if (node < 0) after.state[place] = "made";
    });
    for (const place of given.changed) {
      after.state[place] = "changed";
      before.state[this.twin[1][place]] = "changed";
    }
    for (const rewrite of this.rewrites) {
      rewrite.gone.forEach((node) => add(this.by[0], node, rewrite));
      rewrite.made.forEach((node) => add(this.by[1], node, rewrite));
      for (const node of rewrite.made) if (this.twin[1][node] >= 0) add(this.by[0], this.twin[1][node], rewrite);
    }
  }

  get hasTwo() {
    return this.sides.length === 2;
  }

  /** What stands on the other side for a node: itself, or what it came from or became. */
  counterparts(side, node) {
    const twin = this.twin[side][node];
    const found = new Set(this.stands[side].get(node) ?? []);
    if (twin >= 0 && !found.size) return [twin];
    if (twin >= 0) found.add(twin);
    const seen = new Set();
    const left = [...(this.by[side].get(node) ?? [])];
    while (left.length) {
      const rewrite = left.pop();
      if (seen.has(rewrite)) continue;
      seen.add(rewrite);
      (side === 0 ? rewrite.made : rewrite.gone).forEach((other) => found.add(other));
      left.push(...(side === 0 ? rewrite.later : rewrite.earlier).map((place) => this.rewrites[place]));
    }
    return [...found].sort((one, other) => one - other);
  }

  /** The rewrites that led to a node, or took it out, in their order. */
  chain(side, node) {
    const found = new Set();
    const left = [...(this.by[side].get(node) ?? [])];
    while (left.length) {
      const rewrite = left.pop();
      if (found.has(rewrite)) continue;
      found.add(rewrite);
      left.push(...(side === 1 ? rewrite.earlier : []).map((place) => this.rewrites[place]));
    }
    return [...found].sort((one, other) => one.place - other.place);
  }

  /** All nodes of some rewrites on one side; where later ones went on with what one made, those that came of it. */
  nodesOf(rewrites, side) {
    const found = new Set();
    const seen = new Set(); // one for all: rewrites that go on with each other's work are followed once
    for (const rewrite of rewrites) {
      const own = side === 0 ? rewrite.gone : rewrite.made;
      own.forEach((node) => found.add(node));
      if (!own.length) this.follow(rewrite, side, found, seen);
      if (!own.length && side === 1) for (const node of rewrite.gone) (this.stands[0].get(node) ?? []).forEach((other) => found.add(other));
      if (side === 0) for (const node of rewrite.made) if (this.twin[1][node] >= 0) found.add(this.twin[1][node]);
    }
    return [...found];
  }

  /** Add what the rewrites took out that led to one, or put in that went on with it. */
  follow(rewrite, side, found, seen) {
    const left = [rewrite];
    while (left.length) {
      const here = left.pop();
      if (seen.has(here)) continue;
      seen.add(here);
      (side === 0 ? here.gone : here.made).forEach((node) => found.add(node));
      left.push(...(side === 0 ? here.earlier : here.later).map((place) => this.rewrites[place]));
    }
  }

  /** The graph of the other side that is the same as a graph; -1 when there is none. */
  otherGraph(side, place) {
    const pair = (given.graphs ?? []).find((both) => both[side] === place);
    return pair ? pair[1 - side] : -1;
  }
}

function add(map, key, item) {
  if (!map.has(key)) map.set(key, []);
  map.get(key).push(item);
}
