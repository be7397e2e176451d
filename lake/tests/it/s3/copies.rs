//! Copies.

use super::*;

#[tokio::test]
async fn a_copy_without_replacing_keeps_the_attributes() {
    let served = serve().await;
    let (from, to) = (Path::from("from"), Path::from("to"));
    let attributes: object_store::Attributes =
        [(Attribute::ContentType, "application/json"), (Attribute::Metadata("by".into()), "hand")]
            .into_iter()
            .collect();
    served.store.put_opts(&from, "{}".into(), attributes.clone().into()).await.unwrap();

    served.store.copy_if_not_exists(&from, &to).await.unwrap();

    assert_eq!(served.store.get(&to).await.unwrap().attributes, attributes);
}
