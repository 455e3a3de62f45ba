// The browser's storage, for all tabs and for this one. Where it is forbidden, full or damaged nothing is kept, and
// nothing fails.

const [SHARED, OWN] = ["localStorage", "sessionStorage"].map((name) => {
  try { return window[name] } catch { return null }
})

// Keep a text, or none when it is empty; say whether that worked.
const put = (storage, name, text) => {
  try {
    if (text) { storage.setItem(name, text) } else { storage.removeItem(name) }
    return true
  } catch { return false }
}
const read = (storage, name) => {
  try { return storage.getItem(name) || "" } catch { return "" }
}

// Nothing of a temporary chat is kept here; its name says that it is one (services/conversation.py).
const TEMPORARY = "temporary:"
const isTemporary = (chat) => String(chat).startsWith(TEMPORARY)
