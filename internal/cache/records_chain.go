package cache

// Each record that is held is in three chains.
const (
	ofClient = iota
	ofOrg
	ofMinute
	chains
)

// chain is a list of records in the order in which they came. The links are in
// the records, so that one can be removed from anywhere at once.
type chain struct {
	of          int // which links of a record are this chain's
	first, last *heldRecord
	n           int
}

func (c *chain) push(h *heldRecord) {
	h.links[c.of].before = c.last
	if c.last != nil {
		c.last.links[c.of].after = h
	} else {
		c.first = h
	}
	c.last = h
	c.n++
}

func (c *chain) drop(h *heldRecord) {
	own := &h.links[c.of]
	if own.before != nil {
		own.before.links[c.of].after = own.after
	} else {
		c.first = own.after
	}
	if own.after != nil {
		own.after.links[c.of].before = own.before
	} else {
		c.last = own.before
	}
	own.before, own.after = nil, nil
	c.n--
}

// chainOf returns the chain of a key, a new one if it has none.
func chainOf[K comparable](all map[K]*chain, key K, of int) *chain {
	c := all[key]
	if c == nil {
		c = &chain{of: of}
		all[key] = c
	}
	return c
}

// unchain drops a record from the chain of a key, and the chain if it was the
// last.
func unchain[K comparable](all map[K]*chain, key K, h *heldRecord) {
	c := all[key]
	c.drop(h)
	if c.n == 0 {
		delete(all, key)
	}
}

// crowd is a heap of organizations, of which the first has most records.
type crowd []*orgRecords

func (c crowd) Len() int           { return len(c) }
func (c crowd) Less(i, j int) bool { return c[i].n > c[j].n }
func (c crowd) Swap(i, j int) {
	c[i], c[j] = c[j], c[i]
	c[i].index, c[j].index = i, j
}

func (c *crowd) Push(x any) {
	org := x.(*orgRecords)
	org.index = len(*c)
	*c = append(*c, org)
}

func (c *crowd) Pop() any {
	last := (*c)[len(*c)-1]
	(*c)[len(*c)-1] = nil
	*c = (*c)[:len(*c)-1]
	return last
}
