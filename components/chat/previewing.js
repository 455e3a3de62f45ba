// The draft as it will look, in a part of its own above the text box. The server renders it, only while it is open.

const PREVIEW_MS = 300

// `most` characters of it are asked for.
function previewing({box, most, isLost, ask}) {
  const body = element("div", {class: "markdown", dir: "auto"})
  const note = element("p", {role: "status", hidden: ""})
  const inside = element("div")
  const panel = element("section", {class: "preview", "aria-label": "Preview", tabindex: "0", hidden: ""}, note, inside)
  const toggle = button("Preview", "eye", () => set(panel.hidden), {
    class: "quiet", "aria-pressed": "false", "aria-keyshortcuts": "Alt+P", title: "Preview (Alt + P)", hidden: "",
    onmousedown: (event) => event.preventDefault(), // the keyboard stays where it is, and a phone's hidden if it was
  })
  // Styles of rendered text stay in there, and those of the text box outside; they come with the first preview.
  const style = element("style")
  inside.attachShadow({mode: "open"}).append(style, body)
  const text = () => box.value.slice(0, most)
  let asked = null // the text that was asked for last
  let number = 0
  let onItsWay = false
  let timer = 0
  let last = -Infinity

  function explain(text) {
    if (note.textContent !== text) { note.textContent = text }
    note.hidden = !text
  }
  function update() {
    toggle.hidden = !box.value.trim()
    if (panel.hidden) { return }
    if (toggle.hidden) { set(false) } else if (text() !== asked) { soon() }
  }
  function soon() {
    if (isLost()) {
      explain("The connection is lost. The preview goes on when it is back.")
    } else if (!onItsWay && !timer) {
      timer = setTimeout(request, Math.max(0, last + PREVIEW_MS - performance.now()))
    }
  }
  function request() {
    timer = 0
    if (panel.hidden || isLost()) { return }
    last = performance.now()
    onItsWay = true
    asked = text()
    ask({type: "preview", number: ++number, text: asked, style: !style.textContent})
  }
  function set(open) {
    panel.hidden = !open
    toggle.setAttribute("aria-pressed", String(open))
    clearTimeout(timer)
    timer = 0
    asked = null
    onItsWay = false
    number += 1 // what is on its way is for nobody now
    body.replaceChildren()
    explain(open ? "The preview is on its way…" : "")
    if (open) { soon() }
  }
  return {
    panel,
    toggle,
    theme(dark) { inside.dataset.theme = dark ? "dark" : "light" },
    update,
    told({number: which, html, style: css}) {
      if (css) { style.textContent = css }
      if (which !== number || panel.hidden) { return }
      onItsWay = false
      if (html === null) {
        explain("The preview could not be made. Your text is as it was; type on, or send it.")
      } else {
        explain(box.value.length > most ? `The first ${most.toLocaleString("en")} characters:` : "")
        body.innerHTML = html
        for (const table of body.querySelectorAll(".table-scroll")) { // landmarks are for what was said
          table.removeAttribute("role")
          table.removeAttribute("aria-label")
        }
      }
      update()
    },
    lost: update,
    found() {
      asked = null // it may have been swallowed
      onItsWay = false
      number += 1
      update()
    },
    // Alt + P; on a Mac, where that is a letter, Ctrl + Shift + P, which other browsers keep for themselves.
    key(event) {
      const held = [event.altKey, event.ctrlKey, event.shiftKey, event.metaKey].map(Number).join("")
      if (event.key.toLowerCase() !== "p" || !["1000", "0110"].includes(held) || toggle.hidden) { return false }
      set(panel.hidden)
      return true
    },
    leave: () => clearTimeout(timer),
  }
}
