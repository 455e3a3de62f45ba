// Commands: a list above the text box while it begins with a slash, and what a word of it does when it is sent.

const HEAD = 80 // px of the page over which nothing is shown: its head
const MOST_TYPED = 200 // characters; whoever writes more writes a text
const COMMAND = /^(\/[a-z]+)(?: +(\S.*?))?\s*$/i

// `act` does a command, `refuse` says why not, `put` writes into the text box, `submit` sends what is in it.
function commanding({box, frame, commands, cannot, isLost, isLeaving, act, refuse, put, submit, say}) {
  const list = element("ul", {role: "listbox", id: "commands", "aria-label": "Commands"})
  const hint = element("p", {}, "To send such a word as text, put a space or a second slash before it.")
  const panel = element("div", {class: "commands", hidden: "", onmousedown: (event) => event.preventDefault()}, list, hint)
  box.setAttribute("aria-autocomplete", "list")
  box.setAttribute("aria-controls", "commands")
  let offered = []
  let active = -1
  let moved = false // by the arrow keys
  let dismissed = false
  let composing = false
  let before = null // the text for which the list was made

  const isOptional = ({takes}) => takes.startsWith("[")
  function why(command) {
    if (command.where === "box" || command.name === "/new") { return "" }
    if (isLost()) { return "The connection is lost." }
    return isLeaving() ? "Another conversation is being opened." : new Map(cannot()).get(command.name) || ""
  }
  // A command that was typed whole, with what follows it; undefined for everything else, which is text.
  function parse(text) {
    const [, word, argument = ""] = COMMAND.exec(text) || []
    const command = word && commands().find(({name, other, where}) => where !== "box" && [name, other].includes(word.toLowerCase()))
    return command && (command.takes || !argument) ? {command, argument} : undefined
  }
  function find(text) {
    if (!text.startsWith("/") || text.includes("\n") || text.length > MOST_TYPED) { return [] }
    const typed = text.toLowerCase()
    const word = typed.split(" ", 1)[0]
    return commands().filter(({name, other, takes}) => {
      if (name.includes(" ")) { return name.startsWith(typed) && name.split(" ", 1)[0] === word } // a form of the word
      if (typed !== word) { return takes && name === word }
      return name.startsWith(typed) || (other && other.startsWith(typed))
    })
  }
  function best(text) {
    if (text === "/") { return -1 } // Enter then sends it, and does nothing unforeseen
    const whole = offered.findIndex(({name, other}) => [name, other].includes(text.trim()))
    if (whole >= 0) { return whole }
    if (text.includes(" ")) { return offered.findIndex(({takes}) => takes) }
    const possible = offered.findIndex((command) => !why(command))
    return possible < 0 ? 0 : possible
  }
  function option(command, index) {
    const {name, takes, about} = command
    const said = why(command)
    return element("li", {
      role: "option", tabindex: "-1", id: `command-${index}`, "aria-selected": String(index === active), "aria-disabled": said ? "true" : null, onclick: () => choose(command),
    }, element("b", {}, name, ...takes ? [" ", element("i", {}, takes)] : []), element("span", {}, said ? `${about}. ${said}` : about))
  }
  function draw() {
    list.replaceChildren(...offered.map(option))
    const node = list.children[active]
    if (node) { box.setAttribute("aria-activedescendant", node.id) } else { box.removeAttribute("aria-activedescendant") }
    node?.scrollIntoView({block: "nearest"})
  }
  function hide() {
    if (panel.hidden) { return }
    panel.hidden = true
    list.replaceChildren()
    box.removeAttribute("aria-activedescendant")
  }
  function dismiss() {
    dismissed = true
    hide()
  }
  function update() {
    const text = box.value
    if (!text.startsWith("/")) { dismissed = false }
    const found = composing || dismissed || box.getRootNode().activeElement !== box ? [] : find(text)
    if (!found.length) {
      before = null
      hide()
      return
    }
    const shown = !panel.hidden && offered.length === found.length
    const chosen = text === before && moved ? offered[active]?.name : undefined
    offered = found
    moved = chosen !== undefined && found.some(({name}) => name === chosen)
    active = moved ? found.findIndex(({name}) => name === chosen) : best(text)
    before = text
    panel.hidden = false
    panel.style.maxHeight = `${Math.max(120, frame.getBoundingClientRect().top - HEAD)}px`
    draw()
    if (!shown) { say(found.length === 1 ? "One command" : `${found.length} commands, up and down to choose`) }
  }
  function move(by) {
    active = active < 0 && by < 0 ? offered.length - 1 : (active + by + offered.length) % offered.length
    moved = true
    draw()
  }
  function choose(command) {
    if (command.where === "box") { put(command.name) }
    else if (command.takes && !isOptional(command)) { put(`${command.name} `) }
    else {
      put(command.name)
      submit()
    }
  }
  box.addEventListener("compositionstart", () => { composing = true; hide() })
  box.addEventListener("compositionend", () => { composing = false; setTimeout(update) })
  box.addEventListener("focus", update)
  box.addEventListener("blur", hide)

  return {
    panel,
    update,
    dismiss, // until the slash is gone
    isCommand: (text) => parse(text) !== undefined,
    // Does what is typed, or says why it cannot be done; false where it is only text.
    run() {
      const found = parse(box.value)
      if (!found) { return false }
      const {command, argument} = found
      const missing = command.takes && !isOptional(command) && !argument
      const said = why(command) || (missing ? `Type the ${command.takes} behind it.` : "")
      if (said) {
        dismiss() // what is said stands where the list is
        refuse(`${command.name}: ${said} To send it as text, put a space before it.`)
      } else { act(command, argument) }
      return true
    },
    key(event) {
      const chosen = offered[active]
      if (panel.hidden || event.shiftKey || event.ctrlKey || event.altKey || event.metaKey) { return false }
      switch (event.key) {
        case "ArrowDown": move(1); return true
        case "ArrowUp": move(-1); return true
        case "Escape": dismiss(); return true
        case "Tab":
          if (!chosen) { return false }
          put(chosen.takes ? `${chosen.name} ` : chosen.name)
          return true
        case "Enter":
          // What is typed whole is sent, and run where that ends.
          if (!chosen || chosen.name === box.value.trim() || parse(box.value)?.command === chosen) { return false }
          // What takes something away is done by its whole word, or when it was chosen.
          if (chosen.takes_away && !moved && !why(chosen)) { put(chosen.name) } else { choose(chosen) }
          return true
        default: return false
      }
    },
  }
}
