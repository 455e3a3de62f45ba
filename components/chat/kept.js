// What the text box keeps in the browser: drafts, and messages that were sent and are not stored yet.

const MOST_KEPT = 200_000 // characters of a draft that are kept for all visits; a longer one only for this tab's
const LEFT_MS = 60_000 // after which the outbox of a tab that does not come back is another one's
const STALE_MS = 300_000 // after which a message is not sent by itself any more

// The browser's storage for all tabs and for this one, as far as they may be used.
const [SHARED, OWN] = ["localStorage", "sessionStorage"].map((name) => {
  try { return window[name] } catch { return null }
})
const randomKey = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("")
function put(storage, name, text) {
  try {
    if (text) { storage.setItem(name, text) } else { storage.removeItem(name) }
    return true
  } catch { return false } // too long, or forbidden
}
function read(storage, name) {
  try { return storage.getItem(name) || "" } catch { return "" }
}

// Texts by conversation. This tab's own comes first; the shared one is that of the tab which wrote last, for the next
// visit. What cannot be stored lives as long as the page.
function makeDrafts() {
  const texts = new Map()
  const seen = new Map() // what this page has read from, or written to, the shared place
  const nameOf = (conversation) => `panelist.draft.${conversation || "new"}`
  return {
    keep(conversation, text) {
      const name = nameOf(conversation)
      texts.set(name, text)
      put(OWN, name, text)
      if (text && text.length <= MOST_KEPT) {
        if (put(SHARED, name, text)) { seen.set(name, text) }
      } else if (read(SHARED, name) === (seen.get(name) ?? "")) { // another tab's stays
        put(SHARED, name, "")
      }
    },
    get(conversation) {
      const name = nameOf(conversation)
      const own = texts.get(name) || read(OWN, name)
      if (own) {
        if (!seen.has(name)) { seen.set(name, own) }
        return own
      }
      const text = read(SHARED, name)
      seen.set(name, text)
      return text
    },
  }
}

// Messages that were sent, in this order, until the server has stored them. One at a time is on its way. The key of a
// message makes it the same request however often it is sent: after a lost word, a reload, a refusal.
function makeOutbox({transmit, giveBack, isLost, onSlow}) {
  const OUT = "panelist.out."
  const PATIENCE_MS = 15_000
  const messages = [] // {key, text, now, conversation, at, tab}
  const refused = new Map() // by conversation: the last one that was refused
  const held = new Set() // conversations in which one was refused: those behind it wait for a person
  let onItsWay = null // the key of one
  const tab = read(OWN, "panelist.tab") || randomKey()
  put(OWN, "panelist.tab", tab) // else it is another one after a reload

  const remember = (message) => [SHARED, OWN].some((storage) => put(storage, OUT + message.key, JSON.stringify(message)))
  const forget = (key) => [SHARED, OWN].forEach((storage) => put(storage, OUT + key, ""))
  function turnDown(message) {
    giveBack(message.conversation, message.text)
    refused.set(message.conversation, message)
    remember({...message, refused: true})
  }
  function drop(key) {
    if (key === onItsWay) { onItsWay = null }
    forget(key)
    const at = messages.findIndex((message) => message.key === key)
    return at < 0 ? undefined : messages.splice(at, 1)[0]
  }
  function pump() {
    const next = messages.find(({conversation}) => !held.has(conversation))
    if (onItsWay !== null || !next || isLost()) { return }
    onItsWay = next.key
    transmit(next)
    setTimeout(() => { if (onItsWay === next.key && !isLost()) { onSlow() } }, PATIENCE_MS)
  }
  return {
    pump,
    drop,
    isHeld: (conversation) => held.has(conversation),
    isOnItsWay: ({key}) => key === onItsWay,
    of: (conversation) => messages.filter((message) => message.conversation === conversation),
    // Take over what this tab, or one that is gone, had sent before the page came.
    recall() {
      const found = []
      for (const storage of [SHARED, OWN]) {
        let names = []
        try { names = Object.keys(storage).filter((name) => name.startsWith(OUT)) } catch { /* forbidden */ }
        for (const name of names) {
          try { found.push(JSON.parse(read(storage, name))) } catch { put(storage, name, "") }
        }
      }
      for (const message of found.sort((one, other) => one.at - other.at)) {
        const age = Date.now() - message.at
        if (message.tab !== tab && age < LEFT_MS) { continue }
        if (message.refused) {
          refused.set(message.conversation, message)
          held.add(message.conversation)
        } else if (age > STALE_MS) {
          turnDown(message)
        } else {
          messages.push({...message, tab})
        }
      }
    },
    add(conversation, text, now) {
      const again = refused.get(conversation)
      const same = again?.text === text
      if (again && !same) { forget(again.key) }
      refused.delete(conversation)
      held.delete(conversation)
      const message = {key: same ? again.key : randomKey(), text, now, conversation, at: Date.now(), tab}
      if (same) { messages.unshift(message) } else { messages.push(message) }
      remember(message)
      pump()
    },
    // The message is stored, in that conversation; return it, if it was one of these.
    stored(key, conversation) {
      const message = drop(key)
      for (const next of message?.conversation === null ? messages : []) {
        if (next.conversation === null) { // meant for the conversation that it began
          next.conversation = conversation
          remember(next)
        }
      }
      pump()
      return message
    },
    refuse(key) {
      const message = drop(key)
      if (!message) { return false }
      turnDown(message)
      held.add(message.conversation)
      pump()
      return true
    },
    // The line may have swallowed the message, or the word that it is stored: it goes again when the line is back.
    lost() { onItsWay = null },
  }
}
