// Questions of the list, in dialogs of the platform. Texts only ever go through textContent.

function openDialog(el, title, ...content) {
  const heading = element("h2", {}, title)
  const dialog = element("dialog", {"aria-label": title}, heading, ...content)
  const release = holdEscape()
  dialog.addEventListener("keydown", (event) => event.stopPropagation())
  dialog.addEventListener("click", (event) => { if (event.target === dialog) { dialog.close() } })
  dialog.addEventListener("close", () => { release(); dialog.remove() })
  el.append(dialog)
  dialog.showModal()
  return dialog
}

// The last row of a dialog. `done` says what it does; what was typed goes with `save`.
function dialogEnd(done) {
  const cancel = element("button", {type: "button", onclick: (event) => event.target.closest("dialog").close()}, "Cancel")
  return element("div", {class: "ends"}, cancel, element("button", {type: "submit", class: "done"}, done))
}

function dialogForm(save, ...content) {
  const form = element("form", {method: "dialog"}, ...content)
  form.addEventListener("submit", save)
  return form
}

// `folders` as the list has them; `move` is given the id of the one that is chosen, or null.
function askFolder(el, title, folders, here, move, fresh) {
  const dialog = openDialog(el, title)
  const choice = (id, name, depth) => {
    const one = element("button", {type: "button", class: "choice", onclick: () => { dialog.close(); move(id) }}, icon(id ? "folder" : "close"), element("span", {dir: "auto"}, name))
    one.style.paddingInlineStart = `${12 + 18 * depth}px`
    if (id === here) { one.setAttribute("aria-current", "true") }
    return element("li", {}, one)
  }
  const list = element("ul", {class: "choices"}, choice(null, "No folder", 0), ...folders.map(({id, name, depth}) => choice(id, name, depth)))
  const make = element("button", {type: "button", onclick: () => { dialog.close(); fresh() }}, "New folder…")
  const cancel = element("button", {type: "button", onclick: () => dialog.close()}, "Cancel")
  dialog.append(list, element("div", {class: "ends"}, ...(fresh ? [make] : []), cancel))
  dialog.querySelector("[aria-current]")?.focus()
}

function askName(el, title, save) {
  const field = element("input", {type: "text", required: "", maxlength: "80", "aria-label": "Name of the folder", placeholder: "Name"})
  openDialog(el, title, dialogForm(() => save(field.value), field, dialogEnd("Make")))
}

// `tags`: those that all of them have; `known`: all that there are.
function askTags(el, title, tags, known, save) {
  const kept = new Set(tags)
  const off = new Set()
  const field = element("input", {type: "text", maxlength: "40", list: "known-tags", "aria-label": "Add a tag", placeholder: "Add a tag", autocapitalize: "off"})
  const options = element("datalist", {id: "known-tags"}, ...known.map((tag) => element("option", {value: tag})))
  const chips = element("ul", {class: "chips", "aria-label": "Tags"})
  function draw() {
    chips.replaceChildren(...[...kept].sort().map((tag) => {
      const remove = () => { kept.delete(tag); off.add(tag); draw(); field.focus() }
      return element("li", {}, element("button", {type: "button", class: "chip", "aria-label": `Remove the tag ${tag}`, onclick: remove}, `#${tag}`, icon("close")))
    }))
  }
  function add() {
    for (const tag of field.value.split(",").map((word) => word.trim().replace(/^#/, "").toLowerCase().replace(/\s+/g, "-")).filter(Boolean)) { kept.add(tag); off.delete(tag) }
    field.value = ""
    draw()
  }
  field.addEventListener("keydown", (event) => {
    if (isComposing(event) || (event.key !== "Enter" && event.key !== ",") || !field.value.trim()) { return }
    event.preventDefault()
    add()
  })
  draw()
  openDialog(el, title, dialogForm(() => {
    add()
    save([...kept].filter((tag) => !tags.includes(tag)), [...off])
  }, chips, field, options, dialogEnd("Save")))
  field.focus()
}

function askSettings(el, {name, model, prompt, around, models}, save) {
  const field = element("input", {type: "text", maxlength: "300", list: "known-models", value: model, placeholder: around.model ? `${around.model} (from the folder around it)` : "The usual one"})
  const options = element("datalist", {id: "known-models"}, ...models.map((label) => element("option", {value: label})))
  const box = element("textarea", {rows: "6", maxlength: "20000", dir: "auto", placeholder: around.prompt ? `${around.prompt.slice(0, 300)} (from the folder around it)` : "What the model is told before every conversation in this folder"})
  box.value = prompt
  const about = element("p", {}, "A conversation begun here starts with this model and keeps it. The system prompt goes to the model in every conversation that is in this folder and has none of its own, and is left behind when one is moved out.")
  openDialog(el, `Settings of ${name}`, dialogForm(() => save(field.value, box.value), element("label", {}, "Model", field), options, element("label", {}, "System prompt", box), about, dialogEnd("Save")))
}
