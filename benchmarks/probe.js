// Runs in every measured page before its own scripts, and tells when words become visible.
//
// Every document and every open shadow root gets a MutationObserver when it is made. A change only notes which nodes
// changed; once per animation frame the text of those nodes is searched for the words not seen yet, and a word's time
// is taken in a task after that frame, when it has been handed to the compositor. Times are Date.now(): the clock of
// the model server on the same machine.
//
// It also counts what comes from the server: the payload of websocket frames, and the bodies that Resource Timing knows.
// DevTools could tell both, but an event per frame is a load that the page with the most frames would pay for.
(() => {
  const WORDS = /alphaword|omegaword|mark\d{4}/g
  const bench = window.__bench = {usable: null, readable: null, live: null, whole: null, enter: null, seen: {}, tasks: [], received}
  let frames = 0
  let dirty = new Set()
  let queued = false

  const channel = new MessageChannel()
  let found = []
  channel.port1.onmessage = () => {
    const now = Date.now()
    for (const word of found) { bench.seen[word] ??= now }
    found = []
  }

  function look() {
    queued = false
    const changed = dirty
    dirty = new Set()
    for (const node of changed) {
      if (!node.isConnected || node === document.head || node.closest?.("script, style")) { continue }
      for (const [word] of node.textContent.matchAll(WORDS)) {
        if (!(word in bench.seen)) { found.push(word) }
      }
    }
    if (found.length) { channel.port2.postMessage(null) }
  }

  function changed(records) {
    if (bench.enter === null) { return }
    for (const record of records) { dirty.add(record.target) }
    if (!queued) { queued = true; requestAnimationFrame(look) }
  }

  function watch(root) {
    new MutationObserver(changed).observe(root, {subtree: true, childList: true, characterData: true})
  }
  watch(document)

  const attach = Element.prototype.attachShadow
  Element.prototype.attachShadow = function (options) {
    const root = attach.call(this, options)
    watch(root)
    return root
  }

  // The text box is usable once it is on show and takes text, the conversation readable once its last word is, and the
  // page live once the text box is not that of a first view any more, and whole once nothing of one is left: neither
  // its text box nor the shell around that. A first view's shadow roots come with its HTML,
  // and nobody is told of them.
  const LAST_WORD = "zuluword"
  function* everywhere(root) {
    yield root
    for (const node of root.querySelectorAll("*")) {
      if (node.shadowRoot) { yield* everywhere(node.shadowRoot) }
    }
  }
  const shown = (node) => node.getClientRects().length && node.checkVisibility({visibilityProperty: true})
  function lookAt(root) {
    const box = [...root.querySelectorAll("textarea:not([aria-hidden]):not([disabled]):not([readonly])")].find(shown)
    if (box) {
      bench.usable ??= performance.now()
      if (!document.getElementById("first")) { bench.live ??= performance.now() }
    }
    if (!bench.readable && (root.documentElement || root).textContent.includes(LAST_WORD)) {
      const last = [...root.querySelectorAll("p")].findLast((node) => node.textContent.includes(LAST_WORD))
      if (last && shown(last)) { bench.readable = performance.now() }
    }
  }
  function ready() {
    for (const root of everywhere(document)) { lookAt(root) }
    if (bench.live && !document.getElementById("shell")) { bench.whole ??= performance.now() }
    if (!bench.whole) { requestAnimationFrame(ready) }
  }
  requestAnimationFrame(ready)

  // The last Enter counts. Capturing on window comes before any listener of the page.
  window.addEventListener("keydown", (event) => {
    if (event.key === "Enter") {
      Object.assign(bench, {enter: Date.now(), seen: {}, tasks: []})
    }
  }, true)

  performance.setResourceTimingBufferSize(10000)
  function received() {
    const entries = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
    const bodies = entries.filter(({name}) => name.startsWith("http")).map((entry) => entry.decodedBodySize)
    return frames + bodies.reduce((sum, size) => sum + size, 0)
  }
  window.WebSocket = class extends WebSocket {
    constructor(...address) {
      super(...address)
      // The replies are ASCII: a character is a byte.
      this.addEventListener("message", ({data}) => { frames += data.length ?? data.byteLength ?? data.size })
    }
  }

  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) { bench.tasks.push(entry.duration) }
  }).observe({type: "longtask"})
})()
