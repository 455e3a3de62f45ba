// Putting a question differently, or an answer right, in its place: the old one stays, one version back.

function editing({frame, isLost, source, send, notice}) {
  const kept = (id) => `panelist.edit.${id}` // of this tab, also after a reload
  const editors = new Map() // id -> {node, box, refuse, close}

  async function open({node, body, view}) {
    const {id, role} = view
    if (editors.has(id)) { editors.get(id).box.focus(); return }
    let text = read(OWN, kept(id))
    try { text ||= await source(id) } catch { notice("The text could not be fetched. Try again."); return }
    if (!node.isConnected || editors.has(id)) { return }
    const question = role === "user"
    const key = randomKey()
    const box = element("textarea", {"aria-label": question ? "Edit the question" : "Edit the answer", rows: "1", dir: "auto"})
    const alert = element("p", {class: "refusal", role: "alert", hidden: ""})
    const cancel = element("button", {type: "button", class: "step"}, "Cancel")
    const save = element("button", {type: "submit", class: "primary step"}, question ? "Send" : "Save")
    const form = element("form", {class: "editor"}, box, alert, element("div", {class: "choices"}, cancel, save))
    const fit = () => {
      box.style.height = "auto"
      box.style.height = `${Math.min(box.scrollHeight + 2, Math.max(120, frame.clientHeight * 0.6))}px`
    }
    const refuse = (why) => {
      alert.textContent = why
      alert.hidden = !why
    }
    const wait = (waiting) => { box.readOnly = save.disabled = waiting }
    function close(back) {
      const held = form.contains(form.getRootNode().activeElement)
      put(OWN, kept(id), "")
      editors.delete(id)
      form.remove()
      delete node.dataset.editing
      if (back && held) { node.querySelector(".actions .edit")?.focus({preventScroll: true}) }
    }
    function submit() {
      if (save.disabled) { return }
      if (isLost()) { refuse("The connection is lost. Your text is kept here; send it when the connection is back."); return }
      refuse("")
      wait(true)
      send({type: "edit", id, text: box.value, key})
    }
    cancel.addEventListener("click", () => close(true))
    form.addEventListener("submit", (event) => { event.preventDefault(); submit() })
    box.addEventListener("input", () => { put(OWN, kept(id), box.value); refuse(""); fit() })
    box.addEventListener("keydown", (event) => {
      if (isComposing(event)) { return }
      if (event.key === "Escape") {
        event.preventDefault() // else it would stop an answer
        close(true)
      } else if (event.key === "Enter" && !event.shiftKey && (question || event.ctrlKey || event.metaKey)) {
        event.preventDefault()
        submit()
      }
    })
    editors.set(id, {box, close, refused(why) { wait(false); refuse(why); box.focus() }})
    box.value = text
    node.dataset.editing = ""
    body.after(form)
    fit()
    box.focus({preventScroll: true})
    if (question) { box.setSelectionRange(text.length, text.length) } else { box.setSelectionRange(0, 0) }
    form.scrollIntoView({block: "nearest"})
  }

  return {
    open,
    // What the server says of it.
    told({id, refused}) {
      if (refused) {
        editors.get(id)?.refused(refused)
      } else {
        put(OWN, kept(id), "")
        editors.get(id)?.close()
      }
    },
    // A message that is not on the page any more, or all of them. What was typed is there when it is edited again.
    gone(id) { editors.delete(id) },
    allGone() { editors.clear() },
    // A line that was lost brings no word any more; what was sent is known by its key.
    lost() { for (const {refused} of editors.values()) { refused("") } },
  }
}
