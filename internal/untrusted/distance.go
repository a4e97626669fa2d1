package untrusted

// maxDistance bounds the work of [Distance], in bytes of a text.
const maxDistance = 100

// Distance returns how many letters of a must be changed, added or taken away
// to make b of it (Levenshtein's distance, over bytes). It tells which known
// word may have been meant. A text of more than 100 bytes is 100 from any.
func Distance(a, b string) int {
	if len(a) > maxDistance || len(b) > maxDistance {
		return maxDistance
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
