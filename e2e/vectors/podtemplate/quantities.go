package main

import (
	"encoding/json"
	"math/rand"

	"k8s.io/apimachinery/pkg/api/resource"
)

// odd are texts that a random search would hardly find, right and wrong ones.
var odd = []string{
	"0", "00", "-0", "+0", "0.0", "0m", "0Ki", "0.0Gi", ".", ".5", "-.5", "5.", "5.Gi", "1.5Gi", "0.5Gi", ".5Gi",
	"1000m", "1500m", "0.1", "0.10", "0.100", "1.500", "1.5000", "01", "007", "+5", "+05.500", "100", "1000", "1024",
	"1024Ki", "1025Ki", "8Mi", "9Mi", "1536Mi", "0.001Ki", "1Ei", "7Ei", "8Ei", "9Ei", "-9Ei", "1000E", "1000000E",
	"9223372036854775807", "9223372036854775808", "9223372036854775807Ki", "123456789012345678", "1234567890123456789",
	"1e3", "1E3", "1e-3", "1e+3", "1.5e3", "12e6", "1e100", "1e-10", "1n", "0.1n", "0.9n", "1.1n", "-0.1n", "1u", "999u",
	"1000u", "1000000n", "0.0000000001", "0.000000001", "123.456789012345", "1k", "1K", "1ki", "1KI", "1mi", "1g", "1Zi",
	"1 Gi", " 1Gi ", "1Gi\n", "", " ", "-", "+", "--1", "+-1", "abc", "1.2.3", "1..2", "e3", "E", "Ei", "Ki", "m", "1e",
	"1e+", "1e-", "1m5", "1Mi5", "1e3.5", "0x10", "1_000", "1,5", "½", "١", "NaN", "1e3m", "1i", "i", "1ee3", "1EE3",
	"1.10Ki", "1.25Ki", "0.5Ki", "1023", "1023Ki", "1024.5Ki", "10000000000Ki", "99999999999Ki", "999999999999Ki",
	"1.0", "1.00", "1.000", "10.000", "100000m", "1000000m", "12345678901234567890n", "0.00000000000000000001Ei",
}

// quantities holds pairs of a text and its canonical form, or null when it is not a quantity.
func quantities() [][2]*string {
	texts := append([]string{}, odd...)
	random := rand.New(rand.NewSource(1))
	for range 400 {
		texts = append(texts, aQuantity(random))
	}
	pairs := [][2]*string{}
	for _, text := range texts {
		quoted, err := json.Marshal(text)
		check(err)
		var quantity resource.Quantity
		pair := [2]*string{&text, nil}
		if quantity.UnmarshalJSON(quoted) == nil {
			data, err := json.Marshal(quantity)
			check(err)
			var canonical string
			check(json.Unmarshal(data, &canonical))
			pair[1] = &canonical
		}
		pairs = append(pairs, pair)
	}
	return pairs
}
