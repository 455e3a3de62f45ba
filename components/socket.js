// The socket of a page whose scripts are still on their way: opened, and asked for the page's document, at once. Bokeh
// finds the answer there when it opens the socket itself
// (https://docs.bokeh.org/en/latest/docs/dev_guide/server.html: a message comes as header, metadata and content).
// As the kit's own page has it, for `come_back.js`:
let _wsError = false
{
  const {CONNECTING, OPEN} = WebSocket
  let early = null

  window.WebSocket = class extends WebSocket {
    constructor(address, protocols, ...more) {
      if (early?.isFor(protocols)) {
        const socket = early.handOver()
        early = null
        return socket
      }
      super(address, protocols, ...more)
      const fail = () => {
        _wsError = true
        document.dispatchEvent(new Event("panelist:unreachable"))
      }
      this.addEventListener("error", fail)
      this.addEventListener("close", (event) => { if (event.code !== 1000) { fail() } })
    }
  }

  window.panelistConnect = (token) => {
    const {protocol, host, pathname, search} = location
    const socket = new WebSocket(`${protocol.replace("http", "ws")}//${host}${pathname.replace(/\/+$/, "")}/ws${search}`, ["bokeh", token])
    const id = `early-${Math.random()}`
    const received = []
    let due = false // the document
    let pass = null // from when Bokeh has the socket
    const take = (event) => {
      event.stopImmediatePropagation()
      received.push(event.data)
      if (pass) { pass() }
      else if (received.length === 3) { // the server has said that it is there; it takes nothing before
        due = true
        for (const part of [{msgid: id, msgtype: "PULL-DOC-REQ"}, {}, {}]) { socket.send(JSON.stringify(part)) }
      }
    }
    socket.binaryType = "arraybuffer"
    socket.addEventListener("message", take)

    function handOver() {
      let opened = socket.readyState === CONNECTING // or Bokeh is to be told so
      let name = null // of Bokeh's own request, which is not sent
      let parts = due ? 3 : 0
      if (due) {
        socket.send = (part) => {
          name ??= JSON.parse(part).msgid
          parts -= 1
          if (!parts) { delete socket.send }
        }
      }
      // Each part in a task of its own, as it would have come: what one begins may have to end before the next.
      const tasks = new MessageChannel()
      pass = () => tasks.port2.postMessage(null)
      tasks.port1.onmessage = () => {
        if (socket.readyState > OPEN) { // Bokeh was told that it has closed
          tasks.port1.close()
          return
        }
        if (!opened) {
          opened = true
          socket.onopen()
          return
        }
        let data = received.shift()
        if (due && typeof data === "string" && data.includes(id)) {
          due = false
          data = JSON.stringify({...JSON.parse(data), reqid: name})
        }
        socket.onmessage({data})
        if (!due && !received.length) {
          socket.removeEventListener("message", take)
          tasks.port1.close()
        }
      }
      if (!opened) { [null, ...received].forEach(pass) }
      return socket
    }
    early = {
      isFor: (protocols) => protocols?.[1] === token && [CONNECTING, OPEN].includes(socket.readyState),
      handOver,
    }
  }
}
