// Regions waiting to be laid out.

/** Asks the worker for layouts, the most urgent first; where there can be no worker, does it here between two frames. */
class LayoutQueue {
  constructor() {
    this.known = new Map(); // problem as text -> result
    this.waiting = []; // { view, region, urgency, done }
    this.busy = null;
    try {
      const code = document.getElementById("layout").textContent;
      this.worker = new Worker(URL.createObjectURL(new Blob([code], { type: "text/javascript" })));
      this.worker.onmessage = ({ data }) => this.finish(data.result);
      this.worker.onerror = () => this.abandonWorker();
    } catch {
      this.worker = null;
    }
  }

  abandonWorker() {
    this.worker = null;
    const { busy } = this;
    this.busy = null;
    if (busy) this.start(busy);
  }

  /** Lay a region out; `done` is called afterwards. Asking again makes it more urgent. */
  ask(view, region, urgency, done) {
    if (region.result) return;
    const same = this.waiting.find((job) => job.region === region);
    if (same) same.urgency = urgency;
    else if (this.busy?.region !== region) this.waiting.push({ view, region, urgency, done });
    this.next();
  }

  next() {
    if (this.busy || !this.waiting.length) return;
    let best = 0;
    this.waiting.forEach((job, at) => {
      if (job.urgency < this.waiting[best].urgency) best = at;
    });
    this.start(this.waiting.splice(best, 1)[0]);
  }

  start(job) {
    this.busy = { ...job, ...job.view.problem(job.region) };
    this.busy.key = JSON.stringify(this.busy.problem);
    const known = this.known.get(this.busy.key);
    if (known) this.finish(known);
    else if (this.worker) this.worker.postMessage({ key: "", problem: this.busy.problem });
    else setTimeout(() => this.finish(layOut(this.busy.problem)));
  }

  finish(result) {
    const { view, region, names, key, done } = this.busy;
    this.known.set(key, result);
    this.busy = null;
    view.settle(region, names, result);
    done(region);
    this.next();
  }
}
