package dataplane

// SetGroups has one thread carry so many workers, a power of two.
func (d *Dataplane) SetGroups(size int) { d.setGroups(size) }
