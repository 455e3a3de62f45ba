// Earlier questions in the empty text box, by the arrow keys. What was recalled and not edited is nobody's draft.

// `questions` gives all texts, oldest first, null for those that only the server has whole; `ask` wants one of those.
function recalling({box, questions, ask, isLost, put, say}) {
  let at = null // the place of the question that is shown, or on its way
  let shown = "" // the text box when it was put there, or asked for
  let total = 0
  const recalled = () => at !== null && box.value === shown
  const end = () => { at = null }
  box.addEventListener("input", end)
  box.addEventListener("compositionstart", end)

  function show(text) {
    put(text)
    shown = box.value
    box.setSelectionRange(shown.length, shown.length)
    box.scrollTop = box.scrollHeight
    say(`Question ${at + 1} of ${total}`)
  }
  function giveBack() {
    end()
    put("")
    say("Your draft")
  }
  function go(by) {
    const texts = questions()
    total = texts.length
    if (!total) { return false }
    let to = (recalled() ? at : total) + by
    while (texts[to] === "") { to += by } // there was nothing but files
    if (to < 0 && !recalled()) { return false }
    if (to >= total) {
      giveBack()
      return true
    }
    at = to < 0 ? at : to
    shown = box.value
    if (texts[at] !== null) { show(texts[at]) }
    else if (isLost()) { say("That question can be read when the connection is back.") }
    else { ask(at) }
    return true
  }
  return {
    end,
    // The text that is the person's own: what was recalled took the place of an empty box.
    draft: () => recalled() ? "" : box.value,
    told({index, text}) {
      if (index !== at || !recalled()) { return } // something was typed meanwhile
      if (text === null) { say("That question is not here any more.") } else { show(text) }
    },
    // Whether the key was for this. In a text of several lines the arrows first go from line to line.
    key(event) {
      if (event.shiftKey || event.ctrlKey || event.altKey || event.metaKey || box.selectionStart !== box.selectionEnd) { return false }
      const on = recalled()
      const above = box.value.slice(0, box.selectionStart).includes("\n")
      const below = box.value.slice(box.selectionEnd).includes("\n")
      if (event.key === "ArrowUp" && (on ? !above : !box.value)) { return go(-1) }
      if (event.key === "ArrowDown" && on && !below) { return go(1) }
      if (event.key !== "Escape" || !on) { return false }
      giveBack()
      return true
    },
  }
}
