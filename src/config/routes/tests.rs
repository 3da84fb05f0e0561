use super::*;

fn route(path: &str, to: RouteTo) -> Route {
    Route::new(path, to).unwrap()
}

fn found<'r>(routes: &'r Routes, path: &str) -> Option<&'r str> {
    routes.find(path).map(|id| routes.get(id).map_or("", |route| route.path.as_str()))
}

#[test]
fn a_path_has_the_most_specific_route_in_whatever_order_they_are_given() {
    let all = [
        ("/*", RouteTo::Application),
        ("/t/{topic...}", RouteTo::Topics),
        ("/t/secret/*", RouteTo::Off),
        ("/t/secret/open", RouteTo::Application),
        ("/{user}/pubsub", RouteTo::PubSub),
        ("/healthz", RouteTo::Health),
    ];
    let mut order = all;
    for turn in 0..all.len() {
        order.rotate_left(1);
        if turn % 2 == 0 {
            order.swap(0, 3);
        }
        let routes = Routes::new(order.map(|(path, to)| route(path, to))).unwrap();
        for (path, expected) in [
            ("/", Some("/*")),
            ("/x/y", Some("/*")),
            ("/t/a", Some("/t/{topic...}")),
            ("/t/pubsub", Some("/t/{topic...}")),
            ("/a/pubsub", Some("/{user}/pubsub")),
            ("/t/secret", Some("/t/{topic...}")),
            ("/t/secret/x", None),
            ("/t/secret/", None),
            ("/t/secret/open", Some("/t/secret/open")),
            // However it is spelled.
            ("/t/%73ecret/x", None),
            ("/t%2Fsecret%2fx", None),
            ("/%74/secret/x%2F", None),
            ("/t/%7", None),
            ("/t/%ff", None),
            ("/healthz", Some("/healthz")),
            ("healthz", None),
        ] {
            assert_eq!(found(&routes, path), expected, "{path}");
        }
        let health = routes.find("/healthz").unwrap();
        assert_eq!(routes.of_request("/healthz"), Some(health));
        assert_eq!(routes.of_handshake("/healthz"), None);
        assert!(routes.of_handshake("/t/a").is_some());
        assert_eq!(routes.of_request("*"), Some(RouteId::NONE));
    }
}

#[test]
fn without_routes_every_path_has_none() {
    let routes = Routes::default();
    for path in ["/", "/topics/%", "*", ""] {
        assert_eq!(routes.of_request(path), Some(RouteId::NONE), "{path}");
        assert_eq!(routes.of_handshake(path), Some(RouteId::NONE), "{path}");
    }
    assert_eq!(routes.get(RouteId::NONE), None);
    let none_fits = Routes::new([route("/a", RouteTo::Application)]).unwrap();
    assert_eq!(none_fits.of_handshake("/b"), None);
    assert_eq!(none_fits.get(RouteId::NONE), None);
}

#[test]
fn what_cannot_hold_is_refused() {
    let cases = [
        (route("/t/*", RouteTo::Topics), "path", "`{topic...}`"),
        (route("/a", RouteTo::Off).max_message(1), "max-message", "no effect"),
        (route("/a", RouteTo::Off).origins(Origins::Any), "allow-origin", "no effect"),
        (route("/a", RouteTo::Health).compression(Compression::Off), "compression", "no effect"),
        (route("/a", RouteTo::Health).access(Access::Token), "authority", "no effect"),
        (
            route("/a", RouteTo::Application).slow(SlowConsumer::Conflate),
            "slow-consumer",
            "no effect",
        ),
        (route("/a", RouteTo::Application).queue(1), "subscriber-queue", "no effect"),
        (
            route("/a", RouteTo::PubSub).compression(Compression::ContextTakeover),
            "compression",
            "`no-context-takeover`",
        ),
    ];
    for (route, setting, part) in cases {
        let text = route.path.to_string();
        let error = Routes::new([route]).unwrap_err();
        assert_eq!(error.setting(), setting);
        assert!(error.reason().contains(part), "{error}");
        assert!(error.to_string().starts_with(&format!("the route `{text}`: ")), "{error}");
    }
    let all = |to| {
        let plain = route("/{topic}", to).max_message(1).compression(Compression::Off);
        plain.origins(Origins::Any).access(Access::Anyone)
    };
    assert_eq!(all(RouteTo::Application).faults(), []);
    let full = |to| all(to).slow(SlowConsumer::Close).queue(1);
    assert_eq!([full(RouteTo::Topics).faults(), full(RouteTo::PubSub).faults()], [[], []]);
    assert_eq!(route("/a", RouteTo::Health).origins(Origins::Any).faults(), []);
}

#[test]
fn two_routes_with_the_same_paths_are_refused() {
    let two = [route("/a/{x}", RouteTo::Application), route("/a/{y}", RouteTo::Off)];
    let error = Routes::new(two).unwrap_err();
    assert_eq!(error.to_string(), "the route `/a/{y}`: its paths are those of the route `/a/{x}`");
    let many = |count: usize| {
        Routes::new((0..count).map(|number| route(&format!("/{number}"), RouteTo::Application)))
    };
    let most = many(Routes::MAX).unwrap();
    let last = found(&most, "/249");
    assert_eq!(last, Some("/249"));
    assert!(many(Routes::MAX + 1).unwrap_err().reason().contains("more than 250"));
}

#[test]
fn compression_is_as_the_route_says_with_the_windows_of_the_server() {
    let policy = DeflatePolicy { server_max_window_bits: 9, ..DeflatePolicy::default() };
    for (compression, enabled, keeps) in [
        (Compression::Off, false, false),
        (Compression::NoContextTakeover, true, false),
        (Compression::ContextTakeover, true, true),
    ] {
        let applied = compression.apply(policy);
        assert_eq!(applied.enabled, enabled);
        assert_eq!([applied.server_context_takeover, applied.client_context_takeover], [keeps; 2]);
        assert_eq!(applied.server_max_window_bits, 9);
    }
}
