// Asks Argo Rollouts what conditions of metrics mean, with the expr library of its version: each condition of
// cases.json with each result of its group. Writes vectors.json.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strconv"

	"github.com/argoproj/argo-rollouts/utils/evaluate"
)

// Result is what a provider hands over. One field is set.
type Result struct {
	Float  *string          `json:"float,omitempty"`
	Floats *[]string        `json:"floats,omitempty"`
	JSON   *json.RawMessage `json:"json,omitempty"`
	Nil    bool             `json:"nil,omitempty"`
}

type Group struct {
	About      string            `json:"about"`
	Results    []json.RawMessage `json:"results"`
	Conditions []string          `json:"conditions"`
}

// Answers holds, for one condition, the answer for each result of the group: T, F, or E for an error.
type Answers struct {
	Condition string `json:"condition"`
	Answers   string `json:"answers"`
}

type Answered struct {
	About   string            `json:"about"`
	Results []json.RawMessage `json:"results"`
	Vectors []Answers         `json:"vectors"`
}

func number(text string) float64 {
	switch text {
	case "NaN":
		return math.NaN()
	case "Inf":
		return math.Inf(1)
	case "-Inf":
		return math.Inf(-1)
	}
	value, err := strconv.ParseFloat(text, 64)
	check(err)
	return value
}

func (r Result) value() any {
	switch {
	case r.Float != nil:
		return number(*r.Float)
	case r.Floats != nil:
		values := []float64{}
		for _, text := range *r.Floats {
			values = append(values, number(text))
		}
		return values
	case r.JSON != nil:
		var value any
		check(json.Unmarshal(*r.JSON, &value))
		return value
	}
	return nil
}

func answer(value any, condition string) (answer byte) {
	defer func() {
		if recover() != nil {
			answer = 'E'
		}
	}()
	holds, err := evaluate.EvalCondition(value, condition)
	if err != nil {
		return 'E'
	}
	if holds {
		return 'T'
	}
	return 'F'
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	text, err := os.ReadFile("cases.json")
	check(err)
	var groups []Group
	check(json.Unmarshal(text, &groups))
	answered := []Answered{}
	total := 0
	for _, group := range groups {
		one := Answered{About: group.About, Results: group.Results}
		for _, condition := range group.Conditions {
			answers := []byte{}
			for _, raw := range group.Results {
				var result Result
				// A null is a value here, and not an absent field.
				var fields map[string]json.RawMessage
				check(json.Unmarshal(raw, &fields))
				check(json.Unmarshal(raw, &result))
				if null, ok := fields["json"]; ok && result.JSON == nil {
					result.JSON = &null
				}
				answers = append(answers, answer(result.value(), condition))
				total++
			}
			one.Vectors = append(one.Vectors, Answers{Condition: condition, Answers: string(answers)})
		}
		answered = append(answered, one)
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", " ")
	check(encoder.Encode(answered))
	check(os.WriteFile("vectors.json", out.Bytes(), 0o644))
	fmt.Println(total, "vectors")
}
