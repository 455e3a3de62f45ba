// Where the nodes of a tree stand: a column and a row each, parents before children. Pure, and linear in their number.
//
// The eldest child stands below its parent, the others to the right of all that is below their elder siblings, as near
// as they can without touching it. So a conversation without branches is one column, and a node keeps its place when
// younger ones come. After Reingold and Tilford (https://doi.org/10.1109/TSE.1981.234519): each subtree has a contour,
// the right end of each of its rows; two are joined in the time that the less deep one takes. Nothing here recurs: a
// conversation may be thousands of messages deep.

function layOut(parents) { // of each node the place of what it follows, -1 for none
  const count = parents.length
  const children = Array.from({length: count}, () => [])
  const roots = []
  parents.forEach((parent, node) => (parent < 0 ? roots : children[parent]).push(node))
  const contours = new Array(count) // {ends: right ends, the deepest row first; add: to be added to each}
  const offsets = new Int32Array(count) // columns from the parent, or for a root from the first root
  function join(family) {
    let all = null
    for (const child of family) {
      const own = contours[child]
      contours[child] = null
      if (!all) { all = own; continue }
      const common = Math.min(all.ends.length, own.ends.length)
      let shift = 0
      for (let row = 1; row <= common; row++) { shift = Math.max(shift, all.ends[all.ends.length - row] + all.add + 1) }
      offsets[child] = shift
      if (own.ends.length >= all.ends.length) {
        own.add += shift
        all = own
      } else {
        for (let row = 1; row <= common; row++) { all.ends[all.ends.length - row] = own.ends[own.ends.length - row] + own.add + shift - all.add }
      }
    }
    return all
  }
  for (let node = count - 1; node >= 0; node--) {
    const contour = join(children[node]) ?? {ends: [], add: 0}
    contour.ends.push(-contour.add)
    contours[node] = contour
  }
  join(roots)
  const columns = new Int32Array(count)
  const rows = new Int32Array(count)
  let width = 0
  let depth = 0
  for (let node = 0; node < count; node++) {
    const parent = parents[node]
    columns[node] = (parent < 0 ? 0 : columns[parent]) + offsets[node]
    rows[node] = parent < 0 ? 0 : rows[parent] + 1
    width = Math.max(width, columns[node] + 1)
    depth = Math.max(depth, rows[node] + 1)
  }
  return {children, roots, columns, rows, width, depth}
}
