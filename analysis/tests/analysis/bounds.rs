//! What an expression may cost: whoever may write a template must not be able to stop the controller.

use sluice_analysis::expression::{LIMITS, Value};

use super::conditions::{evaluate, json};

#[test]
fn an_expression_cannot_ask_for_more_than_its_share() {
    let nested = format!("{}1{} > 0", "(".repeat(500), ")".repeat(500));
    let long = format!("{} > 0", vec!["1"; 3_000].join(" + "));
    // Brackets and operators are within their limits, and the tree of both is too deep.
    let mut both = "1".to_owned();
    for _ in 0..30 {
        both = format!("({both}{})", " + 1".repeat(30));
    }
    both.push_str(" > 0");
    let huge = format!("'{}' == ''", "x".repeat(20_000));
    let unary = format!("{}true", "!".repeat(5_000));
    let members = format!("result{} == nil", ".a".repeat(3_000));
    let elvis = format!("{}true{}", "(".repeat(90), " ?: true)".repeat(90));
    for (condition, reason) in [
        (nested.as_str(), "nested deeper"),
        (&long, "operators in a row"),
        (&both, "nested deeper than 200 levels"),
        (&huge, "bytes"),
        (&unary, "nested deeper"),
        (&members, "members in a row"),
        ("len(1..9000000000000) > 0", "memory budget exceeded"),
        (
            "len(-9223372036854775807..9223372036854775807) > 0",
            "memory budget exceeded",
        ),
        (
            "sum(map(1..1000, {sum(1..1000)})) > 0",
            "memory budget exceeded",
        ),
        (
            "let a = 1..3000; any(a, {let x = #; any(a, {# + x < 0})})",
            "too many steps",
        ),
        // Work that grows with what it is done on is paid for each time.
        (
            "let t = repeat('x', 100000); count(1..1000, t contains 'y') == 0",
            "too many steps",
        ),
        (
            "let t = repeat('x', 100000); count(1..100, indexOf(t, 'y') > 0) == 0",
            "too many steps",
        ),
        (
            "let p = repeat('a', 1000); count(1..100, 'b' matches p) == 0",
            "too many steps",
        ),
        (
            "let a = 1..10000; count(1..600, # + 10000 in a) == 0",
            "too many steps",
        ),
        (
            "let a = 1..10000; count(1..600, a == a) == 600",
            "too many steps",
        ),
        (
            "let m = fromPairs(map(1..1000, [string(#), #])); count(1..1500, m == m) == 1500",
            "too many steps",
        ),
        ("repeat('x', 2000000) == ''", "memory budget exceeded"),
        (
            "len(reduce(1..100000, [#acc], [])) > 0",
            "memory budget exceeded",
        ),
        (
            "reduce(1..60, [#acc, #acc], 1) == 1",
            "memory budget exceeded",
        ),
        (
            "len(reduce(1..100, #acc + #acc, 'x')) > 0",
            "memory budget exceeded",
        ),
    ] {
        let error = evaluate(condition, &Value::Nil)
            .expect_err(condition)
            .to_string();
        assert!(error.contains(reason), "{:.60}: {error}", condition);
    }
    assert_eq!(evaluate(&elvis, &Value::Nil), Ok(true));
}

#[test]
fn what_is_large_and_within_its_share_is_evaluated() {
    let declarations = format!("len([{}]) == 200", ["let a = 1; a"; 200].join(", "));
    for condition in [
        "len(repeat('x', 3000) + repeat('y', 3000)) == 6000",
        "not (repeat('x', 3000) contains repeat('y', 3000))",
        "not (repeat('x', 3000) matches repeat('y', 30))",
        // Declarations side by side are not nested.
        &declarations,
    ] {
        assert_eq!(
            evaluate(condition, &Value::Nil),
            Ok(true),
            "{condition:.60}"
        );
    }
}

#[test]
fn a_limit_may_be_reached_and_not_passed() {
    let row = |operators: usize| format!("true{}", " && true".repeat(operators));
    let memory = usize::try_from(LIMITS.memory).unwrap();
    let steps = usize::try_from(LIMITS.steps).unwrap();
    for (make, limit, reason) in [
        (
            &|size: usize| format!("'{}' != ''", "x".repeat(size - 8)),
            LIMITS.length,
            "bytes",
        ),
        (
            &|size: usize| format!("[{}] != []", vec!["1"; size - 3].join(",")),
            LIMITS.nodes,
            "maximum allowed nodes",
        ),
        (
            &|size: usize| format!("{}true{}", "(".repeat(size - 1), ")".repeat(size - 1)),
            LIMITS.depth,
            "nested deeper than 120 levels",
        ),
        (&row, LIMITS.depth, "operators in a row"),
        (
            &|size: usize| format!("({})", row(size)),
            LIMITS.depth,
            "operators in a row",
        ),
        (
            &|size: usize| format!("[1]{} == [1]", " | reverse()".repeat(size - 1)),
            LIMITS.depth,
            "operators in a row",
        ),
        (
            &|size: usize| format!("result{} == nil", "?.a".repeat(size)),
            LIMITS.depth,
            "members in a row",
        ),
        (
            &|size: usize| format!("({}){}", row(100), " && true".repeat(size - 101)),
            LIMITS.tree,
            "nested deeper than 200 levels",
        ),
        (
            &|size: usize| format!("len(1..{size}) > 0"),
            memory,
            "memory budget exceeded",
        ),
        // Lists that share their parts are heavier to walk through than to store.
        (
            &|size: usize| {
                let parts = "a, ".repeat(499);
                let last = size - 4_990_002;
                format!("let a = 1..9999; let b = 1..{last}; [{parts}b] != []")
            },
            steps,
            "memory budget exceeded",
        ),
        (
            &|size: usize| format!("reduce(2..{size}, [#acc], []) != []"),
            LIMITS.depth,
            "memory budget exceeded",
        ),
        (
            &|size: usize| format!("reduce(2..{size}, ({{a: #acc}}), {{}}) != {{}}"),
            LIMITS.depth,
            "memory budget exceeded",
        ),
    ] as [(&dyn Fn(usize) -> String, usize, &str); 12]
    {
        let at_the_limit = make(limit);
        assert_eq!(
            evaluate(&at_the_limit, &json("{}")),
            Ok(true),
            "{limit} {reason}: {at_the_limit:.60}"
        );
        let error = evaluate(&make(limit + 1), &json("{}"))
            .expect_err(reason)
            .to_string();
        assert!(error.contains(reason), "{at_the_limit:.60}: {error}");
    }
}
