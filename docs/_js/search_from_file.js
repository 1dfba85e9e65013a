// Browsers start no worker for a page that is opened as a file. The search's worker then runs in a
// hidden frame, as the theme expects it by this name.
if (location.protocol === "file:") {
  window.IFrameWorker = class extends EventTarget {
    constructor(url) {
      super();
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      document.body.append(this.frame);
      const inner = this.frame.contentWindow, page = inner.document;
      page.open();
      page.write("<!doctype html><title>search</title><body></body>");
      page.close();
      const load = (src) => new Promise((done) => {
        const script = page.createElement("script");
        script.src = src;
        script.onload = script.onerror = done;
        page.body.append(script);
      });
      inner.importScripts = (...all) => all.reduce((before, src) => before.then(() => load(src)), Promise.resolve());
      inner.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
      this.ready = load(new URL(url, location.href).href);
    }
    postMessage(data) {
      const inner = this.frame.contentWindow;
      this.ready.then(() => inner.dispatchEvent(new MessageEvent("message", { data })));
    }
    terminate() { this.frame.remove(); }
  };
  window.Worker = window.IFrameWorker;
}
