//! Functions on maps.

use std::collections::BTreeMap;

use super::super::ExpressionError;
use super::super::value::Value;
use super::{Function, Gives, argument, invalid, list, plain};

pub(super) const FUNCTIONS: &[Function] = &[
    plain("keys", 1, 1, Gives::Array, |evaluator, values| {
        let Value::Map(fields) = argument(values, 0) else {
            return Err(invalid("keys", argument(values, 0)));
        };
        evaluator.array(fields.keys().map(|key| key.as_str().into()).collect())
    }),
    plain("values", 1, 1, Gives::Array, |evaluator, values| {
        let Value::Map(fields) = argument(values, 0) else {
            return Err(invalid("values", argument(values, 0)));
        };
        evaluator.array(fields.values().cloned().collect())
    }),
    plain("toPairs", 1, 1, Gives::Array, |evaluator, values| {
        let Value::Map(fields) = argument(values, 0) else {
            return Err(invalid("toPairs", argument(values, 0)));
        };
        let mut pairs = Vec::with_capacity(fields.len());
        for (key, value) in fields.iter() {
            pairs.push(evaluator.array(vec![key.as_str().into(), value.clone()])?);
        }
        evaluator.array(pairs)
    }),
    plain("fromPairs", 1, 1, Gives::Map, |evaluator, values| {
        let mut fields = BTreeMap::new();
        for pair in list("fromPairs", values, 0)? {
            match pair {
                Value::Array(pair) => match &pair[..] {
                    [Value::String(key), value] => {
                        fields.insert(key.to_string(), value.clone());
                    }
                    _ => {
                        return Err(ExpressionError::new(
                            "invalid pair: a string and a value are needed",
                        ));
                    }
                },
                other => return Err(invalid("fromPairs", other)),
            }
        }
        evaluator.fields(fields)
    }),
];
