// What marks a temporary chat, above its text box.

function temporaryMark({keep}) {
  const keeper = element("button", {type: "button", class: "word", onclick: keep}, "Keep this chat")
  const mark = element("div", {class: "temporary", role: "note", "aria-label": "Temporary chat", hidden: ""},
    icon("ghost"), element("p", {}, element("b", {}, "Temporary chat."), " Nothing of it is saved: it is gone when you leave or reload."), keeper)
  return {
    mark,
    update(chat) {
      mark.hidden = !isTemporary(chat)
      keeper.hidden = isNew(chat)
    },
  }
}
