package access

// TakesAway lists the actions that wait for no others.
func TakesAway() (all []string) {
	for action := range takesAway {
		all = append(all, action)
	}
	return all
}
