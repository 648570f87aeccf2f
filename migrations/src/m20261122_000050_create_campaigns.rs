//! Audiences, campaigns, and what became of each recipient.
//!
//! The counts of a campaign are kept by portions of its recipients, so that no row is everybody's.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [
            audiences(),
            audience_members(),
            campaigns(),
            portions(),
            recipients(),
        ] {
            manager.create_table(table).await?;
        }
        for index in indexes() {
            manager.create_index(index).await?;
        }
        manager
            .get_connection()
            .execute_unprepared("ALTER TABLE channels ADD COLUMN campaign_id uuid")
            .await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .get_connection()
            .execute_unprepared("ALTER TABLE channels DROP COLUMN campaign_id")
            .await?;
        for table in [
            CampaignRecipients::Table.into_iden(),
            CampaignPortions::Table.into_iden(),
            Campaigns::Table.into_iden(),
            AudienceMembers::Table.into_iden(),
            Audiences::Table.into_iden(),
        ] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}
fn audiences() -> TableCreateStatement {
    Table::create()
        .table(Audiences::Table)
        .col(ColumnDef::new(Audiences::ServiceId).uuid().not_null())
        .col(ColumnDef::new(Audiences::Id).uuid().not_null())
        .col(ColumnDef::new(Audiences::AccountId).uuid().not_null())
        .col(ColumnDef::new(Audiences::FriendlyName).text().null())
        .col(ColumnDef::new(Audiences::Filter).text().null())
        .col(ColumnDef::new(Audiences::MembersCount).integer().not_null())
        .col(ColumnDef::new(Audiences::DateCreated).big_integer().not_null())
        .col(ColumnDef::new(Audiences::DateUpdated).big_integer().not_null())
        .primary_key(Index::create().col(Audiences::ServiceId).col(Audiences::Id))
        .to_owned()
}

fn audience_members() -> TableCreateStatement {
    Table::create()
        .table(AudienceMembers::Table)
        .col(ColumnDef::new(AudienceMembers::ServiceId).uuid().not_null())
        .col(ColumnDef::new(AudienceMembers::AudienceId).uuid().not_null())
        .col(ColumnDef::new(AudienceMembers::Identity).text().not_null())
        .primary_key(
            Index::create()
                .col(AudienceMembers::ServiceId)
                .col(AudienceMembers::AudienceId)
                .col(AudienceMembers::Identity),
        )
        .to_owned()
}

fn campaigns() -> TableCreateStatement {
    Table::create()
        .table(Campaigns::Table)
        .col(ColumnDef::new(Campaigns::ServiceId).uuid().not_null())
        .col(ColumnDef::new(Campaigns::Id).uuid().not_null())
        .col(ColumnDef::new(Campaigns::AccountId).uuid().not_null())
        .col(ColumnDef::new(Campaigns::Kind).text().not_null())
        .col(ColumnDef::new(Campaigns::FriendlyName).text().null())
        .col(ColumnDef::new(Campaigns::Mode).text().not_null())
        .col(ColumnDef::new(Campaigns::Via).text().not_null())
        .col(ColumnDef::new(Campaigns::AudienceId).uuid().null())
        .col(ColumnDef::new(Campaigns::Identities).text().null())
        .col(ColumnDef::new(Campaigns::ChannelUniqueName).text().null())
        .col(ColumnDef::new(Campaigns::Sender).text().null())
        .col(ColumnDef::new(Campaigns::Body).text().null())
        .col(ColumnDef::new(Campaigns::Subject).text().null())
        .col(ColumnDef::new(Campaigns::Attributes).text().null())
        .col(ColumnDef::new(Campaigns::MediaSid).text().null())
        .col(ColumnDef::new(Campaigns::SendAt).big_integer().null())
        .col(ColumnDef::new(Campaigns::RatePerSecond).integer().null())
        .col(ColumnDef::new(Campaigns::QuietHours).text().null())
        .col(ColumnDef::new(Campaigns::DryRun).boolean().not_null())
        .col(ColumnDef::new(Campaigns::AttachPool).uuid().null())
        .col(ColumnDef::new(Campaigns::Webhooks).boolean().not_null())
        .col(ColumnDef::new(Campaigns::Status).text().not_null())
        .col(ColumnDef::new(Campaigns::Error).text().null())
        .col(ColumnDef::new(Campaigns::ChannelId).uuid().null())
        .col(ColumnDef::new(Campaigns::Phase).text().not_null())
        .col(ColumnDef::new(Campaigns::ResolvedThrough).text().null())
        .col(ColumnDef::new(Campaigns::Total).big_integer().not_null())
        .col(ColumnDef::new(Campaigns::DateStarted).big_integer().null())
        .col(ColumnDef::new(Campaigns::DateCompleted).big_integer().null())
        .col(ColumnDef::new(Campaigns::DateCreated).big_integer().not_null())
        .col(ColumnDef::new(Campaigns::DateUpdated).big_integer().not_null())
        .primary_key(Index::create().col(Campaigns::ServiceId).col(Campaigns::Id))
        .to_owned()
}

fn portions() -> TableCreateStatement {
    Table::create()
        .table(CampaignPortions::Table)
        .col(ColumnDef::new(CampaignPortions::ServiceId).uuid().not_null())
        .col(ColumnDef::new(CampaignPortions::CampaignId).uuid().not_null())
        .col(ColumnDef::new(CampaignPortions::Number).integer().not_null())
        .col(ColumnDef::new(CampaignPortions::Pending).integer().not_null())
        .col(ColumnDef::new(CampaignPortions::Sent).integer().not_null())
        .col(ColumnDef::new(CampaignPortions::Delivered).integer().not_null())
        .col(ColumnDef::new(CampaignPortions::ReadCount).integer().not_null())
        .col(ColumnDef::new(CampaignPortions::Replied).integer().not_null())
        .col(ColumnDef::new(CampaignPortions::Failed).integer().not_null())
        .col(ColumnDef::new(CampaignPortions::Skipped).integer().not_null())
        .col(ColumnDef::new(CampaignPortions::NextDueAt).big_integer().null())
        .col(
            ColumnDef::new(CampaignPortions::DateUpdated)
                .big_integer()
                .not_null(),
        )
        .primary_key(
            Index::create()
                .col(CampaignPortions::ServiceId)
                .col(CampaignPortions::CampaignId)
                .col(CampaignPortions::Number),
        )
        .to_owned()
}

fn recipients() -> TableCreateStatement {
    Table::create()
        .table(CampaignRecipients::Table)
        .col(ColumnDef::new(CampaignRecipients::ServiceId).uuid().not_null())
        .col(ColumnDef::new(CampaignRecipients::CampaignId).uuid().not_null())
        .col(ColumnDef::new(CampaignRecipients::Place).big_integer().not_null())
        .col(ColumnDef::new(CampaignRecipients::Identity).text().not_null())
        .col(ColumnDef::new(CampaignRecipients::Status).text().not_null())
        .col(ColumnDef::new(CampaignRecipients::ChannelId).uuid().null())
        .col(ColumnDef::new(CampaignRecipients::MessageId).uuid().null())
        .col(
            ColumnDef::new(CampaignRecipients::MessageIndex)
                .big_integer()
                .null(),
        )
        .col(ColumnDef::new(CampaignRecipients::Error).text().null())
        .col(ColumnDef::new(CampaignRecipients::ProviderSid).text().null())
        .col(ColumnDef::new(CampaignRecipients::HandedAt).big_integer().null())
        .col(ColumnDef::new(CampaignRecipients::DueAt).big_integer().null())
        .col(
            ColumnDef::new(CampaignRecipients::DateUpdated)
                .big_integer()
                .not_null(),
        )
        .primary_key(
            Index::create()
                .col(CampaignRecipients::ServiceId)
                .col(CampaignRecipients::CampaignId)
                .col(CampaignRecipients::Place),
        )
        .to_owned()
}

fn indexes() -> [IndexCreateStatement; 3] {
    [
        Index::create()
            .name("ix_campaigns_status")
            .table(Campaigns::Table)
            .col(Campaigns::Status)
            .to_owned(),
        Index::create()
            .name("uq_campaign_recipients_identity")
            .table(CampaignRecipients::Table)
            .col(CampaignRecipients::ServiceId)
            .col(CampaignRecipients::Identity)
            .col(CampaignRecipients::CampaignId)
            .unique()
            .to_owned(),
        Index::create()
            .name("ix_campaign_recipients_status")
            .table(CampaignRecipients::Table)
            .col(CampaignRecipients::ServiceId)
            .col(CampaignRecipients::CampaignId)
            .col(CampaignRecipients::Status)
            .col(CampaignRecipients::Place)
            .to_owned(),
    ]
}

#[derive(DeriveIden)]
enum Audiences {
    Table,
    ServiceId,
    Id,
    AccountId,
    FriendlyName,
    Filter,
    MembersCount,
    DateCreated,
    DateUpdated,
}

#[derive(DeriveIden)]
enum AudienceMembers {
    Table,
    ServiceId,
    AudienceId,
    Identity,
}

#[derive(DeriveIden)]
enum Campaigns {
    Table,
    ServiceId,
    Id,
    AccountId,
    Kind,
    FriendlyName,
    Mode,
    Via,
    AudienceId,
    Identities,
    ChannelUniqueName,
    Sender,
    Body,
    Subject,
    Attributes,
    MediaSid,
    SendAt,
    RatePerSecond,
    QuietHours,
    DryRun,
    AttachPool,
    Webhooks,
    Status,
    Error,
    ChannelId,
    Phase,
    ResolvedThrough,
    Total,
    DateStarted,
    DateCompleted,
    DateCreated,
    DateUpdated,
}

#[derive(DeriveIden)]
enum CampaignPortions {
    Table,
    ServiceId,
    CampaignId,
    Number,
    Pending,
    Sent,
    Delivered,
    ReadCount,
    Replied,
    Failed,
    Skipped,
    NextDueAt,
    DateUpdated,
}

#[derive(DeriveIden)]
enum CampaignRecipients {
    Table,
    ServiceId,
    CampaignId,
    Place,
    Identity,
    Status,
    ChannelId,
    MessageId,
    MessageIndex,
    Error,
    ProviderSid,
    HandedAt,
    DueAt,
    DateUpdated,
}
