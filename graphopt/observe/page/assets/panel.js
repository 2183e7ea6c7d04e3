// The tables beside the graph: totals and operators, what changed by which rule, near misses, checks and times.

const SHOWN = 100; // rewrites or nodes of a list that are there at once
const cell = (words, className = "") => el("td", className ? { class: className } : {}, words);
const heading = (...words) => el("thead", {}, el("tr", {}, ...words.map((word) => el("th", { scope: "col" }, word))));

class Panel {
  /** hooks: search(words), rewrite(rewrite), rule(name), go(side, node) */
  constructor(root, story, hooks) {
    Object.assign(this, { root, story, hooks });
    this.fill("summary", this.summary());
    this.fill("changes", this.changes());
    this.fill("near", this.near());
    this.fill("checks", this.checks());
    if (!story.hasTwo) for (const name of ["changes", "near", "checks"]) root.querySelector(`[data-tab="${name}"]`).hidden = true;
    if (!REPORT.passes.length && story.hasTwo)
      for (const name of ["changes", "near"]) root.querySelector(`[data-tab="${name}"]`).hidden = true;
  }

  fill(name, parts) {
    this.root.querySelector(`#${name}`).append(...parts.filter(Boolean));
  }

  /** The number on a tab. */
  count(name, number, alarming = false) {
    const tab = this.root.querySelector(`[data-tab="${name}"]`);
    if (number)
      tab.append(
        el(
          "span",
          { class: alarming ? "count alarm" : "count" },
          number < 1000 ? String(number) : `${(number / 1000).toFixed(number < 10000 ? 1 : 0)}k`,
        ),
      );
  }

  // ---- summary

  summary() {
    const { before, after } = REPORT;
    const two = this.story.hasTwo;
    const rows = [
      ["Nodes", before.nodes, after.nodes, numberText],
      ["Operators", Object.keys(before.operators).length, Object.keys(after.operators).length, numberText],
      ["Weights", before.initializers, after.initializers, numberText],
      ["Their bytes", before.initializer_bytes, after.initializer_bytes, bytesText],
      ["Bytes in nodes", before.constant_bytes, after.constant_bytes, bytesText],
      ["File", before.file_bytes, after.file_bytes, bytesText],
    ].filter(([, one, other]) => one || other);
    const body = rows.map(([name, one, other, words]) =>
      el(
        "tr",
        {},
        el("th", { scope: "row" }, name),
        cell(words(one), "num"),
        ...(two ? [cell(words(other), "num"), cell(share(one, other), other < one ? "num delta less" : "num delta")] : []),
      ),
    );
    const table = el("table", { class: "totals" }, two ? heading("", "before", "after", "") : null, el("tbody", {}, ...body));
    return [
      table,
      el("h2", {}, "Operators"),
      this.operators(before.operators, two ? after.operators : before.operators, two),
      this.about(),
    ];
  }

  operators(before, after, two) {
    const names = [...new Set([...Object.keys(before), ...Object.keys(after)])];
    const most = Math.max(1, ...names.map((name) => Math.max(before[name] ?? 0, after[name] ?? 0)));
    const rows = names.map((name) => ({ name, one: before[name] ?? 0, other: after[name] ?? 0 }));
    const order = (left, right) => Math.abs(right.one - right.other) - Math.abs(left.one - left.other) || right.other - left.other;
    rows.sort(two ? order : (left, right) => right.one - left.one);
    const line = ({ name, one, other }) => {
      const bar = (count, kind) => el("i", { class: kind, style: `width:${((count / most) * 100).toFixed(2)}%` });
      const bars = el("td", { class: "bars" }, bar(one, two ? "before" : "after"), two ? bar(other, "after") : null);
      const title = el(
        "th",
        { scope: "row" },
        button(name, () => this.hooks.search(name), { class: "plain", title: `Search for ${name}` }),
      );
      return el("tr", {}, title, bars, cell(one ? numberText(one) : "–", "num"), two ? cell(other ? numberText(other) : "–", "num") : null);
    };
    const head = () => (two ? heading("", "", "before", "after") : heading("", "", ""));
    const table = (held) => el("table", { class: "operators" }, head(), el("tbody", {}, ...held.map(line)));
    const changed = two ? rows.filter((row) => row.one !== row.other) : rows;
    const same = two ? rows.filter((row) => row.one === row.other) : [];
    const rest = same.length ? el("details", {}, el("summary", {}, `${same.length} with the same number`), table(same)) : null;
    const none = changed.length ? table(changed) : el("p", { class: "dim" }, "No number of any operator changed.");
    return el("div", {}, none, rest);
  }

  about() {
    const rows = [];
    const say = (name, value) => {
      if (value) rows.push(el("tr", {}, el("th", { scope: "row" }, name), el("td", { class: "mono wrap" }, value)));
    };
    say("Model", REPORT.source);
    say(wasRun ? "Result" : "Compared with", REPORT.output);
    say("Pipeline", REPORT.pipeline);
    const opsets = ({ opsets }) =>
      Object.entries(opsets)
        .map(([domain, version]) => `${domain || "ai.onnx"} ${version}`)
        .join(", ");
    const [one, other] = given.sides.map(opsets);
    say("Opsets", other === undefined || one === other ? one : `${one} → ${other}`);
    REPORT.data_files.forEach((file) =>
      say("Weights in", `${file.name} (${bytesText(file.bytes)})${file.shared ? ", which both models use" : ""}`),
    );
    say("Frozen", [...REPORT.signature.frozen, ...sizes(REPORT.dimensions.frozen), ...sizes(REPORT.dimensions.set)].join(", "));
    say("Still dynamic", REPORT.passes.length ? REPORT.dimensions.dynamic.join(", ") : "");
    return el("div", {}, el("h2", {}, "Run"), el("table", { class: "about" }, el("tbody", {}, ...rows)));
  }

  // ---- what fired where

  changes() {
    const { story } = this;
    const groups = new Map();
    for (const rewrite of story.rewrites) add(groups, rewrite.rule, rewrite);
    this.count("changes", story.rewrites.filter((rewrite) => rewrite.number).length);
    if (!groups.size) return [el("p", { class: "dim" }, "Nothing changed: no rule and no pass found anything to do.")];
    const known = new Map(REPORT.rules.map((rule) => [rule.name, rule]));
    const sorted = [...groups].sort((one, other) => other[1].length - one[1].length);
    const lists = sorted.map(([name, rewrites]) => this.rule(name, rewrites, known.get(name)));
    const hint = el(
      "p",
      { class: "dim" },
      "Each rule or pass, and where it acted. Choose a rewrite to see it in both graphs; N and P step through them.",
    );
    return [hint, ...lists];
  }

  rule(name, rewrites, known) {
    const origin = known?.file ? `${known.file}:${known.line}` : "";
    const facts = [known?.exactness && known.exactness !== "exact" ? known.exactness : "", known ? secondsText(known.seconds) : ""];
    const all = button(
      "show all",
      (event) => {
        event.preventDefault();
        this.hooks.rule(rewrites);
      },
      { class: "plain", title: "Mark every place in both graphs" },
    );
    const head = el("summary", {}, el("b", {}, name), el("span", { class: "num" }, `${numberText(rewrites.length)}×`));
    const list = el("ol", { class: "rewrites" });
    const about = el(
      "p",
      { class: "dim origin" },
      origin ? el("span", { class: "mono wrap" }, shortPath(origin)) : "a pass over the whole graph",
      ...facts.filter(Boolean).map((fact) => ` · ${fact}`),
      " · ",
      all,
    );
    if (origin) about.firstChild.title = origin;
    const held = el("details", { class: "rule", "data-rule": name }, head, about, list);
    held.addEventListener("toggle", () => {
      if (held.open && !list.children.length) this.more(list, rewrites, (rewrite) => this.rewrite(rewrite));
    });
    return held;
  }

  rewrite(rewrite) {
    const counts = `${rewrite.gone.length || rewrite.earlier.length} → ${rewrite.made.length}`;
    const words = [
      el("span", { class: "num dim" }, rewrite.number ? `#${rewrite.number}` : ""),
      el("span", { class: "mono" }, el("bdi", {}, rewrite.at || rewrite.pass)),
      el("span", { class: "num dim" }, counts),
    ];
    const made = el(
      "button",
      {
        type: "button",
        class: "rewrite",
        "data-rewrite": rewrite.place,
        title: `${rewrite.rule} at ${rewrite.at}, in the pass ${rewrite.pass}`,
        onclick: () => this.hooks.rewrite(rewrite),
      },
      ...words,
    );
    return el("li", {}, made);
  }

  /** Fill a list bit by bit: a model has thousands of rewrites. */
  more(list, items, made) {
    const shown = list.querySelectorAll(":scope > li:not(.more)").length;
    list.querySelector(".more")?.remove();
    list.append(...items.slice(shown, shown + SHOWN).map(made));
    const left = items.length - shown - SHOWN;
    if (left > 0)
      list.append(
        el(
          "li",
          { class: "more" },
          button(`show ${Math.min(left, SHOWN)} of ${numberText(left)} more`, () => this.more(list, items, made), { class: "plain" }),
        ),
      );
  }

  chooseRewrite(rewrite) {
    for (const chosen of this.root.querySelectorAll(".rewrite.on")) chosen.classList.remove("on");
    if (!rewrite) return;
    const list = [...this.root.querySelectorAll("details.rule")].find((held) => held.dataset.rule === rewrite.rule);
    const found = list?.querySelector(`[data-rewrite="${rewrite.place}"]`);
    found?.classList.add("on");
    if (list?.open) found?.scrollIntoView({ block: "nearest" });
  }

  // ---- near misses

  near() {
    const near = given.near;
    if (!near) return [];
    const side = this.story.sides[1];
    const total = near.groups.reduce((sum, [, , nodes]) => sum + nodes.length, 0);
    this.count("near", total);
    const hint = el(
      "p",
      { class: "dim" },
      "Where the pattern of a rule matched in the end result, and the rule, or the engine's guard, said no. Choose a node to see it.",
    );
    const byRule = new Map();
    for (const [rule, reason, nodes] of near.groups) add(byRule, text(rule), { reason: text(reason), nodes });
    const lists = [...byRule].map(([rule, groups]) =>
      el("div", { class: "near" }, el("h3", {}, rule), ...groups.map((group) => this.reason(side, group))),
    );
    const notes = [];
    if (near.passed) notes.push(`${numberText(near.passed)} more at nodes that went away or changed later.`);
    if (near.unlisted) notes.push(`${numberText(near.unlisted)} more are not listed.`);
    if (!total)
      return [
        el("p", { class: "dim" }, "No rule that matched was refused at a node that is still there as it was."),
        el("p", { class: "dim" }, notes.join(" ")),
      ];
    return [hint, ...lists, el("p", { class: "dim" }, notes.join(" "))];
  }

  reason(side, { reason, nodes }) {
    const list = el("ol", { class: "rewrites" });
    const made = ([node, full]) =>
      el(
        "li",
        {},
        el(
          "button",
          { type: "button", class: "rewrite", title: text(full), onclick: () => this.hooks.go(side, node) },
          el("span", { class: "dim" }, side.op(node)),
          el("span", { class: "mono" }, el("bdi", {}, side.label(node))),
        ),
      );
    const head = el(
      "summary",
      {},
      el("span", {}, nodes.length === 1 ? text(nodes[0][1]) : reason),
      el("span", { class: "num" }, `${numberText(nodes.length)}×`),
    );
    const held = el("details", {}, head, list);
    held.addEventListener("toggle", () => {
      if (held.open && !list.children.length) this.more(list, nodes, made);
    });
    return held;
  }

  // ---- checks and times

  checks() {
    const { verification, signature, warnings } = REPORT;
    const bad = warnings.length + (verification && verdictKind(verification.verdict) === "bad" ? 1 : 0) + signature.changes.length;
    this.count("checks", bad, true);
    const parts = [];
    if (verification || wasRun) parts.push(el("h2", {}, "Verification"));
    if (verification) parts.push(...this.verification(verification));
    else if (wasRun) parts.push(el("p", { class: "dim" }, "Not asked for: --verify runs both models and compares them."));
    const kept = signature.changes.length
      ? el("ul", { class: "alarm" }, ...signature.changes.map((change) => el("li", {}, change)))
      : el("p", {}, "Inputs, outputs and opsets are what they were.");
    parts.push(el("h2", {}, "Signature"), kept);
    if (signature.overridable)
      parts.push(
        el(
          "p",
          {},
          `${numberText(signature.overridable)} weights are inputs too, which a caller may feed: nothing was folded or fused with them.`,
        ),
      );
    if (warnings.length) parts.push(el("h2", {}, "Warnings"), el("ul", { class: "alarm" }, ...warnings.map((each) => el("li", {}, each))));
    else if (wasRun) parts.push(el("h2", {}, "Warnings"), el("p", { class: "dim" }, "None."));
    if (wasRun) parts.push(el("h2", {}, "Time"), this.phases());
    return REPORT.passes.length ? [...parts, this.passes()] : parts;
  }

  verification(found) {
    const verdict = el("p", { class: `verdict ${verdictKind(found.verdict)}` }, found.verdict);
    const rows = found.outputs.map((output) =>
      el(
        "tr",
        {},
        el("th", { scope: "row", class: "mono wrap" }, output.name),
        cell(output.verdict),
        cell(short(output.max_abs), "num"),
        cell(short(output.max_rel), "num"),
      ),
    );
    const table = rows.length ? el("table", {}, heading("output", "verdict", "max abs", "max rel"), el("tbody", {}, ...rows)) : null;
    const said = [found.culprit, found.failure, ...found.signature, ...found.notes].filter(Boolean).map((each) => el("li", {}, each));
    const feeds = found.feeds.length
      ? el(
          "details",
          {},
          el("summary", {}, `${found.feeds.length} inputs tried on ${found.runner}`),
          el("ul", {}, ...found.feeds.map((feed) => el("li", {}, feed))),
        )
      : null;
    const why = found.outputs.map((output) => output.why).filter(Boolean);
    const skipped = found.skipped.length
      ? el(
          "details",
          {},
          el("summary", {}, `${found.skipped.length} inputs that the original rejected`),
          el("ul", {}, ...found.skipped.map((feed) => el("li", {}, feed))),
        )
      : null;
    return [
      verdict,
      table,
      said.length ? el("ul", {}, ...said) : null,
      feeds,
      skipped,
      ...[...new Set(why)].map((each) => el("p", { class: "dim" }, each)),
    ].filter(Boolean);
  }

  phases() {
    return el(
      "p",
      {},
      Object.entries(REPORT.seconds)
        .map(([phase, seconds]) => `${phase} ${secondsText(seconds)}`)
        .join(", ") || "Not measured.",
    );
  }

  passes() {
    const sorted = [...REPORT.passes].sort((one, other) => other.seconds - one.seconds);
    const most = Math.max(1e-9, ...sorted.map((pass) => pass.seconds));
    const row = (pass) =>
      el(
        "tr",
        {},
        el("th", { scope: "row" }, pass.name),
        el("td", { class: "bars" }, el("i", { class: "after", style: `width:${((pass.seconds / most) * 100).toFixed(2)}%` })),
        cell(numberText(pass.changes), "num"),
        cell(secondsText(pass.seconds), "num"),
      );
    const table = (held) => el("table", { class: "operators" }, heading("pass", "", "changes", "time"), el("tbody", {}, ...held.map(row)));
    const rest = sorted.slice(12);
    return el(
      "div",
      {},
      table(sorted.slice(0, 12)),
      rest.length ? el("details", {}, el("summary", {}, `${rest.length} more passes`), table(rest)) : null,
    );
  }
}
