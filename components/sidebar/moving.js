// Drag and drop of conversations and folders onto folders. By keyboard it is "Move to…".

const CONVERSATIONS = "application/x-panelist-conversations"
const FOLDER = "application/x-panelist-folder"

function draggable(node, type, ids) {
  node.draggable = true
  node.addEventListener("dragstart", (event) => {
    event.stopPropagation()
    event.dataTransfer.setData(type, JSON.stringify(ids()))
    event.dataTransfer.effectAllowed = "move"
  })
}

// `move` is given the type and what was dropped.
function droppable(node, move) {
  const type = (event) => [CONVERSATIONS, FOLDER].find((one) => event.dataTransfer.types.includes(one))
  const calm = () => node.classList.remove("target")
  node.addEventListener("dragover", (event) => {
    if (!type(event)) { return }
    event.preventDefault()
    event.dataTransfer.dropEffect = "move"
    node.classList.add("target")
  })
  node.addEventListener("dragleave", calm)
  node.addEventListener("drop", (event) => {
    calm()
    const what = type(event)
    if (!what) { return }
    event.preventDefault()
    event.stopPropagation()
    move(what, JSON.parse(event.dataTransfer.getData(what)))
  })
}
