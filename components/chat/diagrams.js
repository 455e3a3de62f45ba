// Diagrams: what a fenced mermaid block says is drawn in a frame without rights (assets/mermaid/workshop.html), and
// shown as a picture, in which a browser runs and fetches nothing.

const DIAGRAM_CHARS = 20000
const PICTURE_CHARS = 2000000
const DRAW_MS = 5000
const LOAD_MS = 30000
const IDLE_MS = 60000 // after which the frame and its memory are given back

// One frame draws for the whole page, one diagram after the other; it is made with the first one, and again after one
// that did not end.
function workshop(parent, files) {
  let frame = null
  let started = null
  let last = Promise.resolve()
  let count = 0
  let idle = 0

  function ask(message, patience) {
    const id = ++count
    const asked = frame
    return new Promise((resolve, reject) => {
      const done = (act, value) => {
        clearTimeout(timer)
        window.removeEventListener("message", hear)
        act(value)
      }
      const hear = ({source, data}) => {
        if (source === asked.contentWindow && data?.id === id) { done(resolve, data) }
      }
      const timer = setTimeout(() => done(reject, new Error("late")), patience)
      window.addEventListener("message", hear)
      asked.contentWindow.postMessage({...message, id}, "*") // it has no origin to name
    })
  }
  function end() {
    clearTimeout(idle)
    frame?.remove()
    frame = started = null
  }
  async function start() {
    const [page, code] = await Promise.all(files.map(async (file) => {
      const answer = await fetch(new URL(file, document.baseURI))
      if (!answer.ok) { throw new Error(answer.status) }
      return answer.text()
    }))
    const nonce = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("")
    frame = element("iframe", {class: "workshop", sandbox: "allow-scripts", "aria-hidden": "true", tabindex: "-1", srcdoc: page.replaceAll("NONCE", nonce)})
    const loaded = new Promise((resolve) => frame.addEventListener("load", resolve, {once: true}))
    parent.append(frame)
    await loaded
    const {ready} = await ask({code}, LOAD_MS)
    if (!ready) { throw new Error("not ready") }
  }
  async function drawNow(source, dark) {
    clearTimeout(idle)
    try {
      await (started ??= start())
    } catch {
      end()
      return {problem: "This diagram is not drawn: what draws it could not be loaded.", again: true}
    }
    let answer
    try {
      answer = await ask({source, dark, limit: DIAGRAM_CHARS}, DRAW_MS)
    } catch {
      end()
      return {problem: `This diagram is not drawn: it took longer than ${DRAW_MS / 1000} seconds.`}
    }
    idle = setTimeout(end, IDLE_MS)
    const {svg, width, height, title, error} = answer
    if (typeof error === "string") { return {problem: mistake(error)} }
    const sizes = [width, height].every((size) => Number.isFinite(size) && size > 0)
    if (typeof svg !== "string" || svg.length > PICTURE_CHARS || !sizes) { return {problem: "This diagram is not drawn: there is too much of it to show."} }
    return {svg, width: Math.min(width, 20000), height: Math.min(height, 20000), title: String(title).slice(0, 200)}
  }
  return {
    draw(source, dark) {
      const result = last.then(() => drawNow(source, dark))
      last = result
      return result
    },
    end,
  }
}

function mistake(error) {
  const line = /\bline:? (\d+)/i.exec(error)
  if (line) { return `This diagram cannot be drawn: there is a mistake near line ${line[1]}.` }
  if (/^No diagram type|UnknownDiagram/.test(error)) { return "This diagram cannot be drawn: its first line names no kind of diagram." }
  const [first] = error.replace(/[\s.:]+$/, "").split("\n")
  return `This diagram cannot be drawn: ${first.slice(0, 200)}.`
}

function diagrams({list, log, frame, files, isDark}) {
  const drawn = new Map() // theme and source -> what came of it
  const shop = workshop(frame, files)
  // Before they come into sight, so that nothing moves under the reader.
  const near = new IntersectionObserver((entries) => {
    for (const {target, isIntersecting} of entries) {
      if (isIntersecting) {
        near.unobserve(target)
        show(target)
      }
    }
  }, {root: log, rootMargin: "800px 0px"})

  async function pictureOf(source, dark) {
    if (source.length > DIAGRAM_CHARS) {
      return {problem: `This diagram is not drawn: it has more than ${DIAGRAM_CHARS.toLocaleString("en")} characters.`}
    }
    const key = `${dark}${source}`
    if (!drawn.has(key)) {
      if (drawn.size >= 100) { drawn.delete(drawn.keys().next().value) }
      drawn.set(key, shop.draw(source, dark).then((result) => {
        if (result.again) { drawn.delete(key) }
        return result
      }))
    }
    return drawn.get(key)
  }
  async function show(block) {
    const dark = isDark()
    const source = block.querySelector(":scope > pre").textContent
    const result = await pictureOf(source, dark)
    if (!block.isConnected || dark !== isDark()) { return }
    const {top, bottom, height} = block.getBoundingClientRect()
    block.querySelectorAll(":scope > [data-added]").forEach((node) => node.remove())
    if (result.problem) {
      block.dataset.drawn = "failed"
      block.append(element("p", {class: "diagram-note", "data-added": ""}, result.problem))
    } else {
      block.dataset.drawn = block.dataset.drawn === "source" ? "source" : "diagram"
      block.append(picture(result))
    }
    // What is above the reader may grow; what the reader sees of the rest of this stays.
    const edge = log.getBoundingClientRect().top
    if (top < edge && bottom > edge) { log.scrollTop += block.getBoundingClientRect().height - height }
  }
  function picture({svg, width, height, title}) {
    const image = element("img", {alt: title ? `Diagram: ${title}` : "Diagram", width: Math.ceil(width), height: Math.ceil(height), draggable: "false"})
    image.style.minInlineSize = `${Math.round(width * 0.55)}px` // smaller nobody can read it: it scrolls instead
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg)}` // never a blob, which would have our origin
    return element("div", {class: "diagram", "data-added": "", tabindex: "0", role: "group", "aria-label": "Diagram"}, image)
  }

  list.addEventListener("click", (event) => {
    const button = event.target.closest(".show-diagram, .show-source")
    if (!button) { return }
    const block = button.closest(".code-block")
    const shown = button.matches(".show-source") ? "source" : "diagram"
    block.dataset.drawn = shown
    for (const name of ["diagram", "source"]) {
      block.querySelector(`:scope > .code-head > .show-${name}`).setAttribute("aria-pressed", name === shown)
    }
  })
  return {
    // Draws what is new in a message as soon as somebody comes near it.
    look(body) {
      for (const block of body.querySelectorAll(".code-block.mermaid:not([data-drawn])")) {
        if (!block.closest(".tail")) { near.observe(block) }
      }
    },
    repaint() { list.querySelectorAll(".code-block[data-drawn]").forEach((block) => near.observe(block)) },
    leave() {
      near.disconnect()
      shop.end()
    },
  }
}
