// The narrow strip beside a graph: all of it at once, with a tick for each change, and where one is.

class Rail {
  constructor(canvas, pane) {
    Object.assign(this, { canvas, pane, dragging: false });
    canvas.addEventListener("pointerdown", (event) => {
      this.dragging = true;
      canvas.setPointerCapture(event.pointerId);
      this.go(event);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (this.dragging) this.go(event);
    });
    canvas.addEventListener("pointerup", () => {
      this.dragging = false;
    });
    new ResizeObserver(() => this.draw()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  go(event) {
    const { pane } = this;
    pane.scrollTo((event.offsetY / this.canvas.clientHeight) * pane.view.height);
  }

  draw() {
    const { canvas, pane } = this;
    const { view, side } = pane;
    if (!view || !canvas.clientHeight) return;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    canvas.width = width * devicePixelRatio;
    canvas.height = height * devicePixelRatio;
    const pen = canvas.getContext("2d");
    pen.scale(devicePixelRatio, devicePixelRatio);
    const style = getComputedStyle(canvas);
    const unit = height / Math.max(view.height, pane.size.height);
    const tick = (index, colour, left, wide) => {
      pen.fillStyle = style.getPropertyValue(colour);
      pen.fillRect(left, view.y(index) * unit - 1, wide, 2);
    };
    const middle = [5, width - 10];
    for (const [node, index] of view.of) if (!side.state[node]) tick(index, "--line-soft", ...middle);
    for (const [node, index] of view.of) if (side.state[node]) tick(index, `--${side.state[node]}`, ...middle);
    for (const node of pane.found) if (view.of.has(side.drawn(node))) tick(view.of.get(side.drawn(node)), "--found", 0, 4);
    for (const node of pane.marked) if (view.of.has(side.drawn(node))) tick(view.of.get(side.drawn(node)), "--accent", width - 4, 4);
    const { top, bottom } = pane.sight;
    const [upper, lower] = [Math.max(0, top) * unit, Math.min(view.height, bottom) * unit];
    pen.fillStyle = style.getPropertyValue("--sight");
    pen.fillRect(0, upper, width, Math.max(3, lower - upper));
    pen.strokeStyle = style.getPropertyValue("--accent");
    pen.strokeRect(0.5, upper + 0.5, width - 1, Math.max(3, lower - upper) - 1);
  }
}
