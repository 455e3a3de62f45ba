// The files of a sent message: pictures to look at, texts to open, all of them to download. Names are only text.

const OPENED = 60_000 // characters of a text that are shown

function attachedFiles(files) {
  return element("ul", {class: "files", "aria-label": "Attachments"}, ...files.map((file) => {
    const download = element("a", {href: `${file.address}&download`, download: file.name, class: "get"}, "Download")
    const what = [element("span", {class: "name", dir: "auto"}, file.name), element("span", {class: "size"}, `${file.kind}, ${file.size}`)]
    if (file.image) {
      const picture = element("img", {alt: file.name, loading: "lazy", decoding: "async"})
      const link = element("a", {href: file.address, target: "_blank", rel: "noopener", title: "Open in a new tab", class: "picture"}, picture)
      picture.addEventListener("error", () => link.remove(), {once: true})
      picture.src = file.address
      return element("li", {class: "file"}, link, element("div", {class: "line"}, ...what, download))
    }
    const text = element("pre", {tabindex: "0", role: "region", "aria-label": `Text of ${file.name}`, dir: "auto"})
    const details = element("details", {}, element("summary", {class: "line"}, ...what), text, download)
    details.addEventListener("toggle", () => readInto(text, file), {once: true})
    return element("li", {class: "file"}, details)
  }))
}

async function readInto(node, file) {
  try {
    const answer = await fetch(file.address)
    if (!answer.ok) { throw new Error("refused") }
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader()
    let text = ""
    for (let next = await reader.read(); !next.done && text.length <= OPENED; next = await reader.read()) { text += next.value }
    reader.cancel()
    node.textContent = text.slice(0, OPENED)
    if (text.length > OPENED) { node.after(element("p", {}, `These are the first ${OPENED.toLocaleString("en")} characters; download it to see the rest.`)) }
  } catch { node.textContent = "The file cannot be read at the moment. Close this and reload the page." }
}
