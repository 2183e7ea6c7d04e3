// What is said of the node that is chosen: what it is, what it reads and gives, where it comes from and what became of it.

/** An element; children that are text stay text, whatever a model puts into it. */
function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== false && value !== undefined) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

const button = (words, act, attributes = {}) => el("button", { type: "button", ...attributes, onclick: act }, words);

class Details {
  /** hooks: go(side, node), rewrite(rewrite), open(side, graph), close() */
  constructor(root, story, hooks) {
    Object.assign(this, { root, story, hooks });
  }

  hide() {
    this.root.hidden = true;
    this.root.replaceChildren();
  }

  show(side, node) {
    const { story, hooks } = this;
    const state = side.state[node];
    const close = button("×", hooks.close, { class: "close", title: "Close (Esc)", "aria-label": "Close" });
    const words = story.hasTwo ? { gone: "removed", made: "new", changed: "changed", "": "unchanged" }[state] : "";
    const title = el("h3", {}, el("span", { class: `dot ${state}` }), side.op(node), words ? el("small", { class: state }, words) : null);
    const opened = side.opens(node).map(([name, place]) => button(`Open ${name} ▸`, () => hooks.open(side, place), { class: "open" }));
    const place = `${story.hasTwo ? `${side.title.toLowerCase()}, ` : ""}${side.graphTitle(side.home[node])}`;
    const first = el(
      "section",
      {},
      title,
      el("p", { class: "mono" }, side.name(node) || el("i", {}, "no name")),
      el("p", { class: "dim" }, `in ${place}`),
      ...opened,
    );
    const past = story.hasTwo ? this.past(side, node) : null;
    const values = [this.values("Reads", side, side.inputs(node)), this.values("Gives", side, side.outputs(node), true)];
    this.root.replaceChildren(...[close, first, past, ...values, this.attributes(side, node)].filter(Boolean));
    this.root.hidden = false;
  }

  attributes(side, node) {
    const held = side.attributes(node);
    if (!held.length) return el("section", { hidden: true });
    const rows = held.map(([name, value]) => el("tr", {}, el("th", { scope: "row" }, name), el("td", { class: "mono" }, value)));
    return el("section", {}, el("h4", {}, "Attributes"), el("table", {}, el("tbody", {}, ...rows)));
  }

  values(title, side, values, given = false) {
    const rows = values.map((value) => {
      if (value < 0) return el("tr", {}, el("td", { class: "dim" }, "(left out)"), el("td"), el("td"));
      const name = el(
        "td",
        { class: "mono name", title: side.valueName(value) },
        side.valueName(value) ? el("bdi", {}, side.valueName(value)) : el("i", {}, "no name"),
      );
      const words = side.type(value) + (side.note(value) ? ` = ${side.note(value)}` : "");
      const type = el("td", { class: "mono dim type", title: words }, words);
      return el("tr", {}, name, type, el("td", {}, ...(given ? this.readers(side, value) : this.source(side, value))));
    });
    if (!rows.length) rows.push(el("tr", {}, el("td", { class: "dim" }, "nothing")));
    return el("section", { class: "values" }, el("h4", {}, title), el("table", {}, el("tbody", {}, ...rows)));
  }

  source(side, value) {
    const node = side.producer[value];
    if (node >= 0) return [this.link(side, node)];
    return [el("span", { class: "dim" }, ["", "input", "weight", "weight that may be fed"][side.kind(value)])];
  }

  readers(side, value) {
    const nodes = side.readers.get(value) ?? [];
    const links = nodes.slice(0, 6).map((node) => this.link(side, node));
    if (nodes.length > 6) links.push(el("span", { class: "dim" }, `and ${nodes.length - 6} more`));
    return links.length ? links : [el("span", { class: "dim" }, "output or unread")];
  }

  link(side, node) {
    return button(side.op(node), () => this.hooks.go(side, node), { class: `node ${side.state[node]}`, title: side.label(node) });
  }

  /** How it came to be, or what became of it. */
  past(side, node) {
    const { story } = this;
    const chain = story.chain(side.index, node);
    const others = story.counterparts(side.index, node);
    const other = story.sides[1 - side.index];
    const rewrites = chain.slice(-12).map((rewrite) =>
      el(
        "li",
        {},
        button(rewriteTitle(rewrite), () => this.hooks.rewrite(rewrite), { class: "rewrite" }),
      ),
    );
    if (story.twin[side.index][node] >= 0 && !rewrites.length) return null;
    const links = others.slice(0, 8).map((each) => this.link(other, each));
    const what = side.index === 0 ? (others.length ? "Stands for it now" : "Nothing stands for it any more") : "Stands for";
    const more = others.length > 8 ? el("span", { class: "dim" }, `and ${others.length - 8} more`) : null;
    const earlier = chain.length > 12 ? el("p", { class: "dim" }, `${chain.length - 12} earlier rewrites led here`) : null;
    const list = rewrites.length ? el("ol", {}, ...rewrites) : el("p", { class: "dim" }, "No single rewrite is to be named.");
    const linked = others.length || side.index === 0 ? el("p", {}, `${what} `, ...links, more) : null;
    return el("section", {}, el("h4", {}, side.index === 0 ? "What became of it" : "How it came"), earlier, list, linked);
  }
}

function rewriteTitle(rewrite) {
  return `${rewrite.number ? `#${rewrite.number} ` : ""}${rewrite.rule}`;
}
