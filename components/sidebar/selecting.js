// Several conversations chosen at once, and what can be done with them.

function selecting({ask, changed, act}) {
  let chosen = null // ids; null while nothing is being chosen
  let from = null // index of the row that was chosen last
  let number = 0 // of the last request for ids
  let anew = false // whether its answer takes the place of what was chosen

  const said = element("span", {class: "count", role: "status"})
  const one = (name, glyph, what) => button(name, glyph, () => act(what, [...chosen]))
  const archive = one("Archive", "archive", "archive")
  const bar = element("div", {class: "bar", role: "toolbar", "aria-label": "Selected conversations", hidden: ""},
    said, archive, one("Move", "folder", "move"), one("Tag", "tag", "tag"), one("Export", "down", "export"), one("Delete", "bin", "delete"), button("End the selection", "close", () => end()))
  function update() {
    bar.hidden = chosen === null
    const count = chosen?.size ?? 0
    said.textContent = `${count.toLocaleString()} selected`
    for (const each of bar.querySelectorAll("button")) { each.disabled = !count && each !== bar.lastChild }
    changed()
  }
  function begin(id, index) {
    chosen = new Set(id ? [id] : [])
    from = index ?? null
    update()
  }
  function end() {
    if (chosen === null) { return }
    chosen = from = null
    number += 1
    update()
  }
  function range(first, count) {
    number += 1
    ask({type: "ids", number, first, count})
  }
  return {
    bar,
    begin,
    end,
    get on() { return chosen !== null },
    has: (id) => chosen?.has(id) ?? false,
    ids: () => [...(chosen ?? [])],
    toggle(id, index, shift) {
      if (shift && from !== null) {
        anew = false
        range(Math.min(from, index), Math.abs(index - from) + 1)
      } else if (!chosen.delete(id)) { chosen.add(id) }
      from = index
      update()
    },
    all(count) {
      chosen ??= new Set()
      anew = true
      range(0, count)
      update()
    },
    heard(which, ids) {
      if (which !== number || chosen === null) { return }
      chosen = new Set(anew ? ids : [...chosen, ...ids])
      update()
    },
    inArchive(on) {
      const name = on ? "Take out of the archive" : "Archive"
      archive.setAttribute("aria-label", name)
      archive.title = name
    },
  }
}
