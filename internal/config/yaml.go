package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// yamlFile is what one YAML document says: the value of each key, and the line
// of each key and section.
type yamlFile struct {
	values map[string]any
	lines  map[string]int
}

// lineOf returns the line of a key, or that of the nearest section above it if
// the key came by an alias or a merge.
func (f *yamlFile) lineOf(key string) int {
	for {
		if line, ok := f.lines[key]; ok {
			return line
		}
		dot := strings.LastIndexByte(key, '.')
		if dot < 0 {
			return 1
		}
		key = key[:dot]
	}
}

// parseYAML reads one YAML document. The fault has its line, and never quotes
// the text, which may hold secrets.
func parseYAML(name string, raw []byte) (*yamlFile, *Fault) {
	documents := yaml.NewDecoder(bytes.NewReader(raw))
	var root yaml.Node
	if err := documents.Decode(&root); err != nil && !errors.Is(err, io.EOF) {
		return nil, yamlFault(name, err)
	}
	if err := documents.Decode(&yaml.Node{}); !errors.Is(err, io.EOF) {
		return nil, &Fault{Source: name, Problem: "holds more than one YAML document (---); write one"}
	}
	file := &yamlFile{values: map[string]any{}, lines: map[string]int{}}
	if len(root.Content) == 0 || root.Content[0].Tag == "!!null" {
		return file, nil
	}
	top := root.Content[0]
	at := func(node *yaml.Node, problem string) *Fault {
		return &Fault{Source: fmt.Sprintf("%s:%d", name, node.Line), Problem: problem}
	}
	if top.Kind != yaml.MappingNode {
		return nil, at(top, "expected keys and values (issuer: …) at the top of the file")
	}
	if twice := file.addLines("", top, 0); twice != nil {
		return nil, at(twice, "the key "+quoteName(twice.Value)+" is given twice; keep one")
	}
	var sections map[string]any
	if err := top.Decode(&sections); err != nil {
		return nil, yamlFault(name, err)
	}
	for key, value := range sections {
		file.addValues(key, value)
	}
	return file, nil
}

// addLines notes the line of each key below node. It returns the first key that
// is given twice.
func (f *yamlFile) addLines(prefix string, node *yaml.Node, depth int) (twice *yaml.Node) {
	if node.Kind != yaml.MappingNode || depth > 10 {
		return nil
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		name := node.Content[i]
		key := prefix + name.Value
		if _, ok := f.lines[key]; ok {
			return name
		}
		f.lines[key] = name.Line
		if twice := f.addLines(key+".", node.Content[i+1], depth+1); twice != nil {
			return twice
		}
	}
	return nil
}

// addValues adds a value, or the values of a section by their full keys.
func (f *yamlFile) addValues(key string, value any) {
	if emptySection(value) {
		f.values[key] = value
		return
	}
	switch section := value.(type) {
	case map[string]any:
		for name, value := range section {
			f.addValues(key+"."+name, value)
		}
	case map[any]any: // some name in it is no text
		for name, value := range section {
			f.addValues(fmt.Sprintf("%s.%v", key, name), value)
		}
	default:
		f.values[key] = value
	}
}

// emptySection reports whether a value is what a section looks like whose keys
// are all commented out.
func emptySection(value any) bool {
	section, ok := value.(map[string]any)
	return value == nil || ok && len(section) == 0
}

var (
	yamlErrorLine  = regexp.MustCompile(`line (\d+)`)
	yamlBackquotes = regexp.MustCompile("`[^`]*`")
	yamlQuotes     = regexp.MustCompile(`"[^"]*"`)
)

// yamlFault takes from an error of the parser the line and what it says. What
// it quotes of the file is left out.
func yamlFault(name string, err error) *Fault {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	source := name
	if m := yamlErrorLine.FindStringSubmatch(text); m != nil {
		source += ":" + m[1]
		text = strings.TrimPrefix(text, "line "+m[1]+": ")
	}
	text = yamlQuotes.ReplaceAllString(yamlBackquotes.ReplaceAllString(text, redacted), redacted)
	return &Fault{Source: source, Problem: "is not valid YAML: " + strings.Join(strings.Fields(text), " ")}
}

// quoteName shows a name from outside on one line, bounded.
func quoteName(name string) string {
	if len(name) > 100 {
		name = name[:100] + "…"
	}
	return strconv.QuoteToGraphic(name)
}
