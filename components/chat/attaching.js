// Files for the message to come: chosen, dropped or pasted, sent in pieces while one types on. What is whole is kept
// with the draft of its chat, by its hash; what is not yet is kept in the browser, and goes on after a reload.

const LONG_PASTE = 100_000 // characters that become a file, unless a person wants them in the message
const SHOWABLE = ["image/png", "image/jpeg", "image/gif", "image/webp"]
const FORGOTTEN_MS = 7 * 86_400_000

const sizeWords = (size) => size < 1_000 ? (size === 1 ? "1 byte" : `${size} bytes`)
  : size < 999_500 ? `${Math.round(size / 1_000)} KB` : `${(size / 1_000_000).toFixed(1)} MB`

// Bytes on their way, by upload. Where a browser keeps none they live as long as the page.
function makeBlobs() {
  const opened = new Promise((resolve) => {
    try {
      const request = indexedDB.open("panelist", 1)
      request.onupgradeneeded = () => request.result.createObjectStore("uploads")
      request.onsuccess = () => resolve(request.result)
      request.onerror = () => resolve(null)
    } catch { resolve(null) }
  })
  const act = async (mode, work) => {
    const database = await opened
    return database && new Promise((resolve) => {
      try {
        const request = work(database.transaction("uploads", mode).objectStore("uploads"))
        request.onsuccess = () => resolve(request.result)
        request.onerror = (event) => { event.preventDefault(); resolve(null) }
      } catch { resolve(null) }
    })
  }
  const drop = (uid) => act("readwrite", (uploads) => uploads.delete(uid))
  act("readonly", (uploads) => uploads.getAllKeys()).then((keys) => {
    for (const uid of keys || []) { if (Date.now() - parseInt(uid, 36) > FORGOTTEN_MS) { drop(uid) } }
  })
  return {
    keep: (uid, blob) => act("readwrite", (uploads) => uploads.put(blob, uid)),
    get: (uid) => act("readonly", (uploads) => uploads.get(uid)),
    drop,
  }
}

const base64 = (blob) => new Promise((resolve, reject) => {
  const reader = new FileReader()
  reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1))
  reader.onerror = () => reject(reader.error)
  reader.readAsDataURL(blob)
})

// `chat()` is the one on show; `changed()` is called when what can be sent may have changed, `say(text)` refuses.
function attaching({model, box, limits, chat, isLost, changed, say}) {
  const drafts = makeDrafts("panelist.files.")
  const blobs = makeBlobs()
  const chats = new Map() // chat -> [{uid, name, size, kind, pasted} with `id` once it is whole, or `error`]
  const bytes = new Map() // uid -> {blob, url, received}: what only this page has of it
  const bars = new Map() // uid -> the progress on show

  const list = element("ul", {class: "chips"})
  const told = element("p", {class: "unseen", role: "status"})
  const section = element("section", {class: "attachments", "aria-label": "Attachments", hidden: ""}, list)
  const input = element("input", {type: "file", multiple: "", hidden: "", tabindex: "-1", "aria-hidden": "true"})
  const choose = element("button", {type: "button", class: "attach", "aria-label": "Attach files", title: "Attach files: text or pictures", onclick: () => input.click()}, icon("clip"))
  const target = element("div", {class: "drop", popover: "manual", "aria-hidden": "true"}, element("p", {}, "Drop files to attach them"))
  const showTarget = (on) => { // above all else, wherever this stands
    if (on !== target.matches(":popover-open")) { target.togglePopover(on) }
  }

  // Why the message cannot go yet; empty when it can.
  function blocked() {
    const entries = of(chat())
    if (entries.some(({error}) => error)) { return "A file could not be attached. Remove it, then send." }
    return entries.some(({id}) => !id) ? "Files are still on their way. Send when they have arrived, or remove them." : ""
  }
  let held = false // whether that is being said

  // --- what is attached in a chat -----------------------------------------------------------------------------------
  function of(where) {
    if (!chats.has(where)) {
      let kept = []
      try { kept = JSON.parse(drafts.get(where) || "[]") } catch { /* damaged: there is nothing to show */ }
      chats.set(where, kept)
      kept.filter(({id, error, again}) => !id && (again || !error)).forEach(recall)
    }
    return chats.get(where)
  }
  function set(where, entries) {
    chats.set(where, entries)
    drafts.keep(where, entries.length ? JSON.stringify(entries) : "")
    if (where === chat()) { show() }
    if (held && !blocked()) {
      held = false
      say("")
    }
    changed()
  }
  const update = (entry, changes) => {
    Object.assign(entry, changes)
    for (const [where, entries] of chats) { if (entries.includes(entry)) { set(where, entries) } }
  }
  const chatOf = (entry) => [...chats].find(([, entries]) => entries.includes(entry))?.[0]
  const find = (uid) => [...chats.values()].flat().find((entry) => entry.uid === uid)
  function forget(uid) {
    const own = bytes.get(uid)
    if (own?.url) { URL.revokeObjectURL(own.url) }
    bytes.delete(uid)
    blobs.drop(uid)
  }
  function remove(entry) {
    forget(entry.uid)
    if (current === entry) { current = null }
    const where = chat()
    set(where, of(where).filter((one) => one !== entry))
    told.textContent = `Removed ${entry.name}.`
    box.focus()
    pump()
  }
  function keptIn(entry) { // what all tabs keep for the chat of an entry, as it is now
    try { return JSON.parse(drafts.shared(chatOf(entry)) || "[]") } catch { return [] }
  }
  async function recall(entry) { // after a reload
    const blob = await blobs.get(entry.uid)
    if (blob) {
      bytes.set(entry.uid, {blob, received: 0})
      show()
      pump()
      return
    }
    if (entry.id || entry.error) { return }
    const done = keptIn(entry).find(({uid, id}) => uid === entry.uid && id)
    if (done) { // by another tab, which has dropped it since
      const {id, name, size, kind} = done
      update(entry, {id, name, size, kind})
    } else {
      update(entry, {error: `“${entry.name}” was still on its way when the page was closed. Remove it and attach it again.`})
    }
  }

  function add(files, pasted = false) {
    const where = chat()
    const entries = [...of(where)]
    let refused = ""
    for (const file of files) {
      const name = file.name || "picture"
      if (entries.length >= limits.count) {
        refused = `${limits.count} files are the most in one message, so “${name}” was not attached. Send it with the next one.`
        break
      }
      const together = entries.reduce((sum, {size, error}) => error ? sum : sum + size, file.size)
      if (file.size <= limits.image && together > limits.together) {
        refused = `${sizeWords(limits.together)} together are the most in one message, so “${name}” was not attached. Send it with the next one.`
        break
      }
      const most = Math.max(limits.image, limits.text)
      const error = file.size === 0 ? `“${name}” is empty or a folder. Choose another file.`
        : file.size > most ? `“${name}” has ${sizeWords(file.size)}; ${sizeWords(limits.image)} is the most for a picture, ${sizeWords(limits.text)} for a text file. Attach a smaller one.`
          : undefined
      const entry = {uid: `${Date.now().toString(36)}-${randomKey()}`, name, size: file.size, kind: file.type, pasted: pasted || undefined, error}
      entries.push(entry)
      bytes.set(entry.uid, {blob: file, received: 0})
      if (!error && !isTemporary(where)) { blobs.keep(entry.uid, file) }
    }
    set(where, entries)
    list.lastElementChild?.scrollIntoView({block: "nearest"})
    say(refused)
    pump()
  }

  // --- on the way: one piece at a time, so that what is typed and sent meanwhile never waits for long ---------------
  const LEAST = 8_192
  const MOST = 262_144
  let current = null // the entry of which a piece is on its way
  let piece = 32_768
  let asked = {offset: -1, at: 0}
  function pump() {
    if (current || isLost()) { return }
    current = [...chats.values()].flat().find(({uid, id, error}) => !id && !error && bytes.has(uid)) || null
    if (current) { send(current) }
  }
  async function send(entry) {
    const {blob, received} = bytes.get(entry.uid)
    try {
      const data = await base64(blob.slice(received, received + piece))
      if (current !== entry) { return }
      asked = {offset: received, at: performance.now()}
      model.send_msg({type: "piece", chat: addressOf(chatOf(entry)), id: entry.uid, name: entry.name, size: entry.size, offset: received, data})
    } catch { // a folder, or a file that changed since
      fail(entry, {text: `“${entry.name}” cannot be read, or was changed meanwhile. Remove it and attach it again.`})
    }
  }
  function fail(entry, {text, again}) {
    if (current === entry) { current = null }
    update(entry, {error: text, again: again || undefined})
    pump()
  }
  function answered(msg) {
    const entry = find(msg.id)
    if (!entry || entry.id) { return }
    if (msg.type === "unattached") { fail(entry, msg); return }
    if (msg.type === "attached") {
      const {id, name, size, kind} = msg.file
      if (current === entry) { current = null }
      blobs.drop(entry.uid)
      update(entry, {id, name, size, kind})
      told.textContent = `${name} is attached.`
      pump()
    } else if (entry === current && msg.offset === asked.offset) { // else it is the answer to a piece that went twice
      const took = performance.now() - asked.at
      if (took < 300) { piece = Math.min(MOST, piece * 2) } else if (took > 1000) { piece = Math.max(LEAST, piece / 2) }
      bytes.get(entry.uid).received = msg.received
      if (bars.has(entry.uid)) { bars.get(entry.uid).value = msg.received }
      send(entry)
    }
  }

  // --- on show ------------------------------------------------------------------------------------------------------
  function thumb(entry) {
    const own = bytes.get(entry.uid)
    const file = element("span", {class: "thumb"}, icon("file"))
    if (entry.error || !SHOWABLE.includes(entry.kind) || !(own || entry.id)) { return file }
    if (own && !own.url) { own.url = URL.createObjectURL(own.blob) }
    const picture = element("img", {class: "thumb", alt: ""})
    picture.addEventListener("error", () => picture.replaceWith(file), {once: true})
    picture.src = own?.url || `attachments/${entry.id}?name=`
    return picture
  }
  async function putIn(entry) {
    const own = bytes.get(entry.uid)
    try {
      const text = await (own ? own.blob.text() : fetch(`attachments/${entry.id}`).then((answer) => answer.ok ? answer.text() : Promise.reject(answer)))
      if (!of(chat()).includes(entry)) { return } // removed, or another chat was opened meanwhile
      remove(entry)
      const {value, selectionStart: start, selectionEnd: end} = box
      box.dir = "ltr" // until its direction is looked for in its beginning alone: see `fit` in composer.js
      box.value = value.slice(0, start) + text + value.slice(end)
      box.dispatchEvent(new Event("input"))
    } catch { say("The pasted text cannot be fetched at the moment. It is kept; try again when the connection is back.") }
  }
  function chip(entry) {
    const {uid, name, size, pasted, error, again} = entry
    const words = element("span", {class: "words"},
      element("span", {class: "name", dir: "auto"}, pasted ? "Pasted text" : name),
      element("span", {class: "size"}, pasted ? `${sizeWords(size)}, attached as ${name}` : sizeWords(size)))
    const node = element("li", {class: error ? "chip failed" : "chip"}, thumb(entry), words)
    if (!entry.id && !error) {
      const bar = element("progress", {max: size, "aria-label": `Uploading ${name}`})
      bar.value = bytes.get(uid)?.received || 0
      bars.set(uid, bar)
      words.append(bar)
    }
    if (error) { words.append(element("span", {class: "why", role: "alert"}, error)) }
    if (pasted) { node.append(element("button", {type: "button", class: "word", onclick: () => putIn(entry)}, "Put it into the message instead")) }
    if (again) {
      const retry = () => {
        bytes.get(uid).received = 0
        update(entry, {error: undefined, again: undefined})
        pump()
      }
      if (bytes.has(uid)) { node.append(element("button", {type: "button", class: "word", onclick: retry}, "Try again")) }
    }
    node.append(element("button", {type: "button", class: "remove", title: `Remove ${name}`, "aria-label": `Remove ${name}`, onclick: () => remove(entry)}, icon("close")))
    return node
  }
  function show() {
    const entries = of(chat())
    const active = list.getRootNode().activeElement
    const label = list.contains(active) ? active.getAttribute("aria-label") || active.textContent : null
    bars.clear()
    section.hidden = !entries.length
    list.replaceChildren(...entries.map(chip))
    if (label !== null) { // whoever goes through the chips by keyboard stays among them
      const same = [...list.querySelectorAll("button")].find((node) => (node.getAttribute("aria-label") || node.textContent) === label)
      ;(same || box).focus()
    }
  }

  // --- where they come from -----------------------------------------------------------------------------------------
  input.addEventListener("change", () => {
    add([...input.files])
    input.value = ""
    box.focus()
  })
  const paste = (event) => {
    const at = event.composedPath()[0]
    const elsewhere = at !== box && at instanceof HTMLElement && (at.matches("input, textarea, select") || at.isContentEditable)
    if (elsewhere || event.defaultPrevented || !event.clipboardData) { return }
    const text = event.clipboardData.getData("text/plain")
    const files = [...event.clipboardData.files]
    if (files.length && !text) {
      event.preventDefault()
      add(files)
    } else if (text.length > LONG_PASTE && at === box) {
      event.preventDefault()
      add([new File([text], "pasted.txt", {type: "text/plain"})], true)
    }
  }
  let ours = false // something of this page is being dragged
  const brings = (event) => !ours && event.dataTransfer?.types.includes("Files")
  const over = (event) => {
    if (!event.dataTransfer?.types.includes("Files")) { return }
    event.preventDefault() // else the browser would leave this page for the file
    event.dataTransfer.dropEffect = ours ? "none" : "copy"
    showTarget(!ours)
  }
  const out = (event) => { if (!event.relatedTarget) { showTarget(false) } }
  const drop = (event) => {
    showTarget(false)
    if (!event.dataTransfer?.types.includes("Files")) { return }
    event.preventDefault()
    if (brings(event)) {
      add([...event.dataTransfer.files])
      box.focus()
    }
  }
  const begin = () => { ours = true }
  const end = () => { ours = false }
  const lost = () => { current = null }
  const listened = [
    [document, "paste", paste], [window, "dragenter", over], [window, "dragover", over], [window, "dragleave", out],
    [window, "drop", drop], [window, "dragstart", begin], [window, "dragend", end],
    [document, "panelist:lost", lost], [document, "panelist:found", pump],
  ]
  for (const [where, name, work] of listened) { where.addEventListener(name, work) }
  model.on("remove", () => { for (const [where, name, work] of listened) { where.removeEventListener(name, work) } })

  return {
    section, choose, extras: [input, target, told],
    show,
    // Take what the server says of a file; whether it was that.
    heard(msg) {
      const mine = ["received", "attached", "unattached"].includes(msg.type)
      if (mine) { answered(msg) }
      return mine
    },
    any: () => of(chat()).length > 0,
    whole: () => of(chat()).filter(({id}) => id).map(({id, name}) => ({id, name})),
    blocked,
    // Say why the message cannot go yet, for as long as that is so; whether it is.
    hold() {
      held = Boolean(blocked())
      if (held) { say(blocked()) }
      return held
    },
    // Give the files of the chat to the message that is being sent.
    take() {
      const taken = of(chat()).map(({id, name, size, kind}) => ({id, name, size, kind}))
      of(chat()).forEach(({uid}) => forget(uid))
      set(chat(), [])
      return taken
    },
    giveBack(where, files) {
      if (!files?.length) { return }
      const known = of(where).map(({id}) => id)
      const back = files.filter(({id}) => !known.includes(id)).map((file) => ({...file, uid: `${Date.now().toString(36)}-${randomKey()}`}))
      set(where, [...back, ...of(where)])
    },
    takeBack(where, files) {
      const ids = (files || []).map(({id}) => id)
      if (ids.length) { set(where, of(where).filter(({id}) => !ids.includes(id))) }
    },
    move(from, to) {
      const entries = of(from)
      if (!entries.length || from === to) { return }
      const there = of(to)
      set(from, [])
      set(to, [...there, ...entries])
    },
  }
}
