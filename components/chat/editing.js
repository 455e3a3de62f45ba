// Putting a question differently, or an answer right, in its place: the old one stays, one version back.

const LONG_EDIT = 20_000 // characters up to which the height and the direction follow the text
const KEEP_MS = 200

function editing({frame, isLost, isTemporary, source, send, notice}) {
  const kept = (id) => `panelist.edit.${id}` // of this tab, also after a reload
  const unkept = new Map() // id -> what was typed in a temporary chat, which only this page has
  const editors = new Map() // id -> {box, close, refused, keep}
  const opening = new Set()
  const keepAll = () => { for (const {keep} of editors.values()) { keep() } }
  window.addEventListener("pagehide", keepAll)

  async function open(entry) {
    const {id} = entry.view
    if (editors.has(id)) { editors.get(id).box.focus(); return }
    if (opening.has(id)) { return }
    opening.add(id)
    try {
      const text = unkept.get(id) || read(OWN, kept(id)) || await source(id)
      if (entry.node.isConnected) { show(entry, text, true) }
    } catch {
      notice("The text could not be fetched. Try again.")
    } finally {
      opening.delete(id)
    }
  }

  function show({node, body, view: {id, role}}, text, focused) {
    const question = role === "user"
    const box = element("textarea", {"aria-label": question ? "Edit the question" : "Edit the answer", rows: "1", enterkeyhint: question ? "send" : "enter"})
    const alert = element("p", {class: "refusal", role: "alert", hidden: ""})
    const cancel = element("button", {type: "button", class: "step"}, "Cancel")
    const save = element("button", {type: "submit", class: "primary step"}, question ? "Ask again" : "Save")
    const form = element("form", {class: "editor"}, box, alert, element("div", {class: "choices"}, cancel, save))
    let sent = {text: null, key: ""}
    let timer = 0
    const keep = () => {
      clearTimeout(timer)
      if (isTemporary()) { unkept.set(id, box.value) } else { put(OWN, kept(id), box.value) }
    }
    const fit = () => {
      const most = Math.max(120, frame.clientHeight * 0.6)
      const long = box.value.length > LONG_EDIT
      box.dir = long ? "ltr" : "auto"
      if (!long) { box.style.height = "auto" }
      box.style.height = `${long ? most : Math.min(box.scrollHeight + 2, most)}px`
    }
    const refuse = (why) => {
      alert.textContent = why
      alert.hidden = !why
    }
    const wait = (waiting) => {
      box.readOnly = save.disabled = waiting
      form.setAttribute("aria-busy", waiting)
    }
    function close() {
      const held = form.contains(form.getRootNode().activeElement)
      clearTimeout(timer)
      editors.delete(id)
      form.remove()
      delete node.dataset.editing
      if (held) { node.querySelector(".actions .edit")?.focus({preventScroll: true}) }
    }
    function submit() {
      if (save.disabled) { return }
      keep()
      if (isLost()) { refuse("The connection is lost. Your text is kept here; send it when the connection is back."); return }
      if (sent.text !== box.value) { sent = {text: box.value, key: randomKey()} } // another text is another request
      refuse("")
      wait(true)
      send({type: "edit", id, ...sent})
    }
    cancel.addEventListener("click", () => {
      box.value = ""
      keep()
      close()
    })
    form.addEventListener("submit", (event) => { event.preventDefault(); submit() })
    box.addEventListener("input", () => {
      clearTimeout(timer)
      timer = setTimeout(keep, KEEP_MS)
      refuse("")
      fit()
    })
    box.addEventListener("keydown", (event) => {
      if (isComposing(event)) { return }
      if (event.key === "Escape") { // what was typed is there when it is edited again
        event.preventDefault() // else it would stop an answer
        keep()
        close()
      } else if (event.key === "Enter" && !event.shiftKey && (question || event.ctrlKey || event.metaKey)) {
        event.preventDefault()
        submit()
      }
    })
    editors.set(id, {box, close, keep, refused(why) { wait(false); refuse(why); box.focus() }})
    box.value = text
    node.dataset.editing = ""
    body.after(form)
    fit()
    if (!focused) { return }
    box.focus({preventScroll: true})
    const at = question ? text.length : 0
    box.setSelectionRange(at, at)
    form.scrollIntoView({block: "nearest"})
  }

  return {
    open,
    // What was being edited when the page went.
    resume(entry) {
      const {id} = entry.view
      const text = !editors.has(id) && (unkept.get(id) || read(OWN, kept(id)))
      if (text && !entry.seen) { show(entry, text, false) }
      entry.seen = true
    },
    // What the server says of it.
    told({id, refused}) {
      if (refused !== null) { // or with no word: it can be edited on
        editors.get(id)?.refused(refused)
      } else {
        editors.get(id)?.close()
        put(OWN, kept(id), "")
        unkept.delete(id)
      }
    },
    // A message that is not on the page any more, or all of them. What was typed is there when the message is.
    gone(id) {
      editors.get(id)?.keep()
      editors.delete(id)
    },
    allGone() {
      keepAll()
      editors.clear()
    },
    // A line that was lost brings no word any more; what was sent is known by its key.
    lost() { for (const {refused} of editors.values()) { refused("") } },
    leave() { window.removeEventListener("pagehide", keepAll) },
  }
}
