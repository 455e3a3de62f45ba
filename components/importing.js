// A file to be imported: it goes to the server by itself, past the socket, and the server is told the word for it.

const SHARE = 0.01 // of a file, that it says it has come on by

export function render({model, el}) {
  const chooser = element("input", {type: "file", accept: ".json,.zip", "aria-label": "File to import", onchange: send})
  const status = element("p", {role: "status", "aria-label": "Upload"})
  let request = null
  el.replaceChildren(element("div", {class: "importing"}, chooser, status))

  function send() {
    request?.abort()
    const [file] = chooser.files
    if (!file) { return }
    model.send_msg({type: "chosen"})
    if (file.size > model.most) {
      failed(`“${file.name}” has more than ${Math.round(model.most / 1e6)} MB, which is the most.`)
      return
    }
    let said = 0
    const mine = request = new XMLHttpRequest()
    mine.open("POST", "imports")
    mine.upload.onprogress = ({loaded, total}) => {
      if (loaded / total > said + SHARE) {
        said = loaded / total
        status.textContent = `${Math.floor(100 * said)} %`
      }
    }
    mine.onload = () => {
      if (mine.status !== 200) {
        const told = (mine.getResponseHeader("Content-Type") || "").startsWith("text/plain") // else it is a page of the server's
        failed(told ? mine.responseText : "The file could not be sent. Try again.")
        return
      }
      status.textContent = "Looking what is in it…"
      model.send_msg({type: "came", word: mine.responseText})
    }
    mine.onerror = () => failed("The connection was lost. Choose the file again.")
    mine.send(file)
  }
  function failed(text) {
    status.textContent = text
    chooser.value = ""
  }
  listen(model, ({type}) => {
    status.textContent = ""
    if (type === "begin") { // else it was looked at, and its name stays
      request?.abort()
      chooser.value = "" // so that the same one can be chosen again
    }
  })
}
