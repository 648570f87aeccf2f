//! The heart of Hubbub: identifiers, errors, entities, queries, rules, domain functions and events.
//! It knows neither HTTP nor sockets nor a broker; the doors (`api`, `gateway`, `workers`) parse, call and render.

pub mod broker;
