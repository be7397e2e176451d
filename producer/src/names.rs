//! Fixed lists of the users, products and other values in events, so that queries find the same ones each time.
//!
//! Invariant: no value needs escaping in JSON.

/// The users: a name for readers of this file, and the id in events.
pub(crate) const USERS: [(&str, &str); 20] = [
    ("ada", "c963cfe0-afae-4a3b-b909-6a04e7d80068"),
    ("alan", "26b563b1-e794-4e14-a145-4c40c439f34a"),
    ("barbara", "d96e5adf-a2be-4e31-ac8b-e7d742840d2b"),
    ("claude", "53d23c0b-df43-4fb2-99fc-fc64e7aa8576"),
    ("donald", "06e82a01-2b5c-4cd1-a7ca-430e92ac3d42"),
    ("edsger", "1333bc1c-fe6c-4b03-a820-212c69599354"),
    ("frances", "7972a36d-51b3-4a6c-a005-0ed31a6e72b9"),
    ("grace", "6977a41b-730b-4d9c-94a6-7f00f335c357"),
    ("hedy", "a0187b4d-5120-4e8f-b327-26d0356a4152"),
    ("ivan", "542861cd-55e7-467e-ae6a-c4a9e89c5bc7"),
    ("jean", "8491cabe-a0af-4356-97bc-c74d6d683cf8"),
    ("joan", "67a9b05c-7dfb-47e8-9775-f593ce3ad2b2"),
    ("katherine", "3e1dcfb5-92bd-431c-b4d2-ea1614daf467"),
    ("ken", "1570bc62-1832-49e2-b3aa-391808fc2081"),
    ("leslie", "c3b1b366-b185-4ac8-80e0-529930b9f609"),
    ("margaret", "41bc858e-b0b4-462e-8e18-a3634891a61b"),
    ("niklaus", "e7db270d-1e21-4216-9fbb-a63829d144e4"),
    ("radia", "3be4c78b-b4ae-4dd3-847e-604605f9eb87"),
    ("tony", "92ed2607-383c-417b-9756-a407dbeece42"),
    ("whitfield", "cc8fc526-0352-49bf-8e56-d5813cd158af"),
];

/// Products that users buy.
pub(crate) const PRODUCTS: [&str; 12] = [
    "4786a228-4cfd-41e7-9e1f-cc46a5157170",
    "55fac783-a599-4165-b1dd-1b80230a102c",
    "e810b08a-7288-4e4a-b8a6-acd699882356",
    "4617edaa-a37f-4ba2-ac24-6343272be0ea",
    "281f772f-6ed2-49e4-9532-b79f8e41a78f",
    "b4ec0652-edc8-4441-a7e0-e2a62a27ead5",
    "200c54e9-b096-4bf5-9efc-20c9dcf8bef6",
    "6db56e5b-9492-4216-879f-25eefefa0243",
    "e8245819-1dc9-4357-b959-999c584355b8",
    "31826e0a-84fd-4ec5-8d44-edc59b914a48",
    "2c1d8f47-fe1d-415b-ac1d-87286fba579b",
    "c8b05024-1d65-47e2-94bc-028ad6e8541a",
];

/// Pages that users view.
pub(crate) const URLS: [&str; 14] = [
    "https://shop.example/",
    "https://shop.example/about",
    "https://shop.example/basket",
    "https://shop.example/books",
    "https://shop.example/books/new",
    "https://shop.example/checkout",
    "https://shop.example/garden",
    "https://shop.example/garden/tools?sort=price",
    "https://shop.example/help/returns",
    "https://shop.example/kitchen",
    "https://shop.example/kitchen/knives",
    "https://shop.example/search?q=caf%C3%A9",
    "https://shop.example/toys/wooden",
    "https://shop.example/vouchers",
];

/// Browsers and other clients that users have.
pub(crate) const USER_AGENTS: [&str; 6] = [
    "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.1 Safari/605.1.15",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.1 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36",
    "curl/8.17.0",
];

/// Currencies that users pay in.
pub(crate) const CURRENCIES: [&str; 5] = ["CHF", "EUR", "GBP", "JPY", "USD"];
