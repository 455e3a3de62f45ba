// What of a conversation is shared: a row for each message on show. The page is made by the server and kept by the
// browser as a file.

export function render({model, el}) {
  const host = el.getRootNode().host
  let conversation = null
  const title = element("input", {type: "text", class: "title", maxlength: String(model.most), "aria-label": "Title", autocomplete: "off"})
  const list = element("ul", {"aria-label": "Messages to share"})
  const count = element("span", {role: "status", "aria-label": "Chosen"})
  const all = element("button", {type: "button", class: "word", onclick: () => choose(true)}, "All")
  const none = element("button", {type: "button", class: "word", onclick: () => choose(false)}, "None")
  const option = (text, checked) => {
    const box = element("input", {type: "checkbox"})
    box.checked = checked
    return {box, node: element("label", {class: "option"}, box, text)}
  }
  const gaps = option("Mark where messages were left out", true)
  const reasoning = option("Leave out thoughts", false)
  const attachments = option("Leave out attached files", false)
  const failure = element("p", {class: "failure", role: "alert", hidden: ""})
  const save = element("button", {type: "submit", class: "primary"}, "Download page")
  const form = element("form", {},
    element("p", {}, "A page that anybody can read in a browser. It has no link to here, and what you leave out is not in it."),
    element("label", {class: "field"}, "Title", title),
    element("div", {class: "head"}, count, all, none),
    list, gaps.node, reasoning.node, attachments.node, failure, element("div", {class: "end"}, save))
  el.replaceChildren(form)

  const boxes = () => [...list.querySelectorAll("input")]
  function update() {
    const every = boxes()
    const on = every.filter((box) => box.checked).length
    count.textContent = `${on.toLocaleString("en")} of ${every.length.toLocaleString("en")} messages`
    save.disabled = on === 0
  }
  function choose(on) {
    for (const box of boxes()) { box.checked = on }
    update()
  }
  list.addEventListener("change", update)

  function row({id, who, line}) {
    const box = element("input", {type: "checkbox", value: id})
    box.checked = true
    return element("li", {}, element("label", {}, box, element("b", {}, who), element("span", {dir: "auto", title: line}, line)))
  }
  form.addEventListener("submit", async (event) => {
    event.preventDefault()
    save.disabled = true
    failure.hidden = true
    try {
      const answer = await fetch("shares", {method: "POST", body: JSON.stringify({
        conversation, title: title.value, gaps: gaps.box.checked, reasoning: !reasoning.box.checked, attachments: !attachments.box.checked,
        messages: boxes().filter((box) => box.checked).map((box) => box.value),
      })})
      if (!answer.ok) {
        const told = (answer.headers.get("Content-Type") || "").startsWith("text/plain") // else it is a page of the server's
        throw new Error(told ? await answer.text() : "")
      }
      const [, name] = /filename\*=UTF-8''(.+)$/.exec(answer.headers.get("Content-Disposition") || "") || []
      const address = URL.createObjectURL(await answer.blob())
      element("a", {href: address, download: decodeURIComponent(name || "conversation.html")}).click()
      setTimeout(() => URL.revokeObjectURL(address), 60_000)
      model.send_msg({type: "shared"})
    } catch (error) {
      const known = error instanceof TypeError ? "" : error.message
      failure.textContent = known || "The page could not be made. Try again when the connection is back."
      failure.hidden = false
    } finally {
      update()
    }
  })
  update() // there is nothing to choose from yet
  listen(model, (msg) => {
    conversation = msg.conversation
    title.value = msg.title
    list.replaceChildren(...msg.rows.map(row))
    reasoning.node.hidden = !msg.rows.some(({thoughts}) => thoughts)
    attachments.node.hidden = !msg.rows.some(({files}) => files)
    failure.hidden = true
    update()
  })
  const theme = () => { host.dataset.theme = model.dark ? "dark" : "light" }
  model.on("dark", theme)
  theme()
  setTimeout(() => model.send_msg({type: "ready"})) // Bokeh would send this component's entire state along
}
