//! A tree strategy: whoever has no parent goes below the node nearest to the source that has room.

use std::collections::VecDeque;

use peerstream_sdk::prelude::*;

/// The strategy. It keeps nothing of its own: the topology says all.
pub struct Mine;

impl Plugin for Mine {
    const NAME: &'static str = "first-free";
    const SUMMARY: &'static str = "below the node nearest to the source that has room";
    type Config = NoOptions;

    fn build(_: NoOptions, _: &BuildContext<'_>) -> Result<Self, PluginError> {
        Ok(Self)
    }
}

impl TreeStrategy for Mine {
    fn attach(&mut self, context: &Context<'_>, plan: &mut Plan) {
        self.on_events(context, &[], plan);
    }

    fn on_events(&mut self, context: &Context<'_>, _: &[Event], plan: &mut Plan) {
        let orphan = |(node, member): &(NodeId, &Member)| *node != context.source && member.parent().is_none();
        let mut orphans: Vec<_> = context.topology.iter().filter(orphan).collect();
        // Those that can feed others first, oldest first.
        orphans.sort_by_key(|(node, member)| (!member.relay, member.joined_at, *node));
        let (mut orphans, mut reached) = (orphans.into_iter().peekable(), VecDeque::from([context.source]));
        while let (Some(node), Some(_)) = (reached.pop_front(), orphans.peek()) {
            let Some(member) = context.topology.get(node) else { continue };
            reached.extend(member.children().iter().map(|(child, _)| *child));
            for (orphan, _) in orphans.by_ref().take(member.room().saturating_sub(member.children().len())) {
                plan.group().set_parent(orphan, Stripes::ALL, node);
                reached.push_back(orphan);
            }
        }
    }
}

peerstream_sdk::export_plugin! { strategy: Mine }
