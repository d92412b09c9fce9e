"""The only importer of confluent-kafka: topics, configurations, groups; users and rules."""

from bus.admin.access import Access, Rule
from bus.admin.admin import Admin, GroupMember, GroupState, Layout, TopicSpec, too_few_brokers

__all__ = [
    "Access",
    "Admin",
    "GroupMember",
    "GroupState",
    "Layout",
    "Rule",
    "TopicSpec",
    "too_few_brokers",
]
