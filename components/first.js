// The text box of a page whose scripts are still on their way: what is typed, and even sent, is kept and handed over.
(() => {
  const root = document.getElementById("first")
  const inside = (name) => root.querySelector(name).shadowRoot
  const log = inside(".transcript").querySelector(".log")
  const activity = inside(".transcript").querySelector(".activity")
  const form = inside(".composer").querySelector("form")
  const box = form.querySelector("textarea")
  const send = form.querySelector(".send")
  const draft = `panelist.draft.${root.dataset.conversation || "new"}`

  for (const host of root.querySelectorAll(".transcript, .composer")) { host.dataset.theme = root.dataset.theme }

  // The server sees neither how wide the window is nor whether the system is dark: it goes by the last visit. Where
  // that is wrong, ask once more.
  const remember = (name, value) => { document.cookie = `${name}=${value}; path=/; max-age=31536000; samesite=lax` }
  const narrow = innerWidth < 600
  const dark = matchMedia("(prefers-color-scheme: dark)").matches
  remember("panelist_narrow", narrow ? 1 : 0)
  remember("panelist_system", dark ? "dark" : "light")
  const wrong = narrow === Boolean(root.querySelector("aside")) || (!("chosen" in root.dataset) && dark !== (root.dataset.theme === "dark"))
  if (wrong && !read(OWN, "panelist.asked") && put(OWN, "panelist.asked", "1")) { // else they change when the page is live
    location.reload()
    return
  }
  put(OWN, "panelist.asked", "")

  let sent = null // the live text box sends it, under a key of its own, as if Enter had been pressed there
  let composing = false
  let live = {}
  // The live text box takes files; until then a browser must not leave the page for one.
  const stay = (event) => { if (event.dataTransfer.types.includes("Files")) { event.preventDefault() } }
  addEventListener("dragover", stay)
  addEventListener("drop", stay)
  function keep() {
    const text = sent === null ? box.value : box.value.trim() ? `${sent}\n\n${box.value}` : sent
    for (const storage of [OWN, SHARED]) { put(storage, draft, text) }
  }
  function update() {
    send.disabled = sent !== null || !box.value.trim()
    const limit = Math.min(320, innerHeight * 0.4)
    const long = box.value.length > 20_000 // as in composer.js
    box.dir = long ? "ltr" : "auto"
    if (!long) { box.style.height = "auto" }
    box.style.height = `${long ? limit : Math.min(box.scrollHeight, limit)}px`
  }
  function submit(text) {
    if (sent !== null || !text.trim()) { return }
    sent = text
    keep()
    activity.textContent = "Connecting…"
    update()
  }
  function submitBox() {
    const text = box.value
    if (sent === null) { box.value = "" }
    submit(text)
  }
  // Somebody may have typed before this ran.
  box.value ||= read(OWN, draft) || read(SHARED, draft)
  update()
  box.addEventListener("input", () => { keep(); update() })
  box.addEventListener("compositionstart", () => { composing = true })
  box.addEventListener("compositionend", () => { composing = false; setTimeout(leave) })
  box.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing && event.keyCode !== 229) {
      event.preventDefault()
      submitBox()
    }
  })
  form.addEventListener("submit", (event) => { event.preventDefault(); submitBox() })
  inside(".transcript").addEventListener("click", (event) => {
    const chip = event.target.closest(".chip")
    if (chip) { submit(chip.textContent) }
  })

  function leave() {
    if (!live.transcript || !live.composer || composing || root.id !== "first") { return }
    const seen = {place: following ? null : place, touched}
    const held = {text: box.value, start: box.selectionStart, end: box.selectionEnd, sent}
    held.focused = root.contains(document.activeElement) && inside(".composer").activeElement === box
    sizes.disconnect()
    root.id = "shell" // its header and sidebar stay until the live ones have come
    root.inert = true
    root.querySelector("main").replaceChildren()
    window.panelistFirst = undefined
    live.transcript(seen)
    live.composer(held)
    settle()
    setTimeout(() => { // what opens a dialog waits for the shell
      root.querySelector("header").append(Object.assign(document.createElement("p"), {textContent: "Loading the rest of the page…"}))
    }, 1000)
  }
  // The conversation lies over the main area of the shell, wherever that is then.
  function settle() {
    const main = mainArea(document.getElementById("later"))
    if (!main?.clientHeight) {
      document.hidden ? setTimeout(settle, 50) : requestAnimationFrame(settle)
      return
    }
    const talk = document.getElementById("talk")
    let until = 0
    const place = () => {
      const {left, top, width, height} = main.getBoundingClientRect()
      Object.assign(talk.style, {left: `${left}px`, top: `${top}px`, width: `${width}px`, height: `${height}px`})
      if (performance.now() < until) { requestAnimationFrame(place) }
    }
    const follow = () => { // a while longer: what only moves is told by nobody
      const still = performance.now() >= until
      until = performance.now() + 500
      if (still) { place() }
    }
    new ResizeObserver(follow).observe(main)
    for (const view of [window, window.visualViewport]) {
      for (const type of ["resize", "scroll"]) { view?.addEventListener(type, follow) }
    }
    root.remove()
  }
  function mainArea(node) {
    for (const inside of node.querySelectorAll("*")) {
      const found = inside.matches(".main-content") ? inside : inside.shadowRoot && mainArea(inside.shadowRoot)
      if (found) { return found }
    }
    return null
  }
  const painted = () => new Promise((resolve) => document.hidden ? resolve() : requestAnimationFrame(() => setTimeout(resolve)))
  let met
  window.panelistFirst = {
    meet(part) {
      live = {...live, ...part}
      leave()
      if (live.transcript && live.composer) { met() }
    },
  }
  // The kit makes the shell in half the time of all else: not before what is live has been painted.
  const take = window.importShim
  const {kit} = JSON.parse(root.dataset.common)
  const shown = new Promise((resolve) => { met = () => { painted().then(resolve) } })
  window.importShim = Object.assign(async (url) => {
    if (url !== kit) { return take(url) }
    await shown
    try {
      return await take(url)
    } catch (error) { // and nobody asks for it again
      window.panelistComeBack(() => true, () => true)
      throw error
    }
  }, take)
  document.addEventListener("panelist:unreachable", () => {
    activity.textContent = "Connection with the server could not be established. What you type is kept."
  }, {once: true})
  setTimeout(() => {
    if (root.id !== "first") { return }
    if (!composing && window.Bokeh?.documents?.length) { window.panelistBroken = true } // all is there, and nothing comes of it
    activity.textContent = "Panelist does not answer yet. What you type is kept; reload the page if this goes on."
  }, 15000)
  // What can be seen comes first: all else would only delay it. The rest of the page is built meanwhile; what all pages
  // have in common is taken before it has come, and its document asked for as soon as it has.
  const arrived = new Promise((resolve) => document.addEventListener("DOMContentLoaded", resolve, {once: true}))
  const begun = new Map() // by the address of a script: when it has run
  function begin(script, address) {
    script.async = false // one after the other, however they come
    begun.set(address, new Promise((resolve, reject) => { Object.assign(script, {src: address, onload: resolve, onerror: reject}) }))
    document.head.append(script)
  }
  function beginAll() {
    const {scripts} = JSON.parse(root.dataset.common)
    for (const address of scripts) { begin(document.createElement("script"), address) }
    if (kit) { document.head.append(Object.assign(document.createElement("link"), {rel: "modulepreload", href: kit})) }
  }
  async function run() {
    for (const node of [...document.getElementById("live").content.children]) {
      if (node.tagName !== "SCRIPT") {
        document.head.append(node)
        continue
      }
      const script = document.createElement("script")
      for (const {name, value} of node.attributes) { script.setAttribute(name, value) }
      const address = node.getAttribute("src")
      if (!address) {
        script.textContent = node.textContent
        document.body.append(script)
        continue
      }
      if (!begun.has(address)) { begin(script, address) }
      await begun.get(address)
    }
  }
  const fail = () => { window.panelistBroken = true }
  const firstPaint = painted()
  firstPaint.then(beginAll)
  arrived.then(() => panelistConnect(document.getElementById("live").dataset.token)).catch(fail)
  Promise.all([firstPaint, arrived]).then(run).catch(fail)

  // Where the reader left off; else at the end, also while what is above gets its height, until the reader goes up.
  const list = log.querySelector(".messages")
  let following = true
  let touched = false
  let lastTop = 0
  let place = list && root.dataset.conversation ? keptPlace(root.dataset.conversation) : null
  const atEnd = () => log.scrollHeight - log.scrollTop - log.clientHeight < 24
  const toEnd = () => {
    log.scrollTop = log.scrollHeight
    lastTop = log.scrollTop
  }
  if (place && goToPlace(log, list, place)) {
    following = atEnd()
    lastTop = log.scrollTop
  } else { toEnd() }
  log.addEventListener("scroll", () => {
    const moved = Math.abs(log.scrollTop - lastTop) > 1 // by the reader
    if (atEnd()) { following = true } else if (log.scrollTop < lastTop - 1) { following = false }
    lastTop = log.scrollTop
    if (moved) {
      touched = true
      place = list && placeIn(log, list)
    }
  }, {passive: true})
  const sizes = new ResizeObserver(() => {
    if (following) { toEnd() } else if (place && goToPlace(log, list, place)) { lastTop = log.scrollTop }
  })
  sizes.observe(log.firstElementChild)
  sizes.observe(log)
  if (matchMedia("(hover: hover)").matches) { box.focus() }
})()
