package access

// AnswerAtOnce lets wrong passwords be answered at once, for tests that send many.
func (s *Service) AnswerAtOnce() { s.wrongAnswer = 0 }

// TakesAway lists the actions that wait for no others.
func TakesAway() (all []string) {
	for action := range takesAway {
		all = append(all, action)
	}
	return all
}
